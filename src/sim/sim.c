/*
 * sim: see sim.h.
 */
#include "sim/sim.h"

#include "base/clock.h"
#include "sim/counters.h"
#include "sim/fault.h"
#include "sim/journal.h"
#include "sim/vendor.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int sim_init(struct sim *ret_sim, int api)
{
        struct sim sim = {.api = api, .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

        if (sim.stop_fd < 0)
                return -errno;
        int r = sim_counters_new(&sim.counters);
        if (r == 0)
                r = sim_journal_new(&sim.journal);
        if (r == 0)
                r = sim_faults_new(&sim.faults);
        if (r < 0)
                sim_done(&sim);
        else
                *ret_sim = sim;
        return r;
}

void sim_done(struct sim *sim)
{
        sim_vendor_free(sim->vendor);
        sim_faults_free(sim->faults);
        sim_journal_free(sim->journal);
        sim_counters_free(sim->counters);
        (void)close(sim->stop_fd);
}

void sim_stop(struct sim *sim)
{
        (void)eventfd_write(sim->stop_fd, 1);
}

/* Polls until something happens or the delay has passed, through interruptions. */
static void poll_until(struct pollfd *fds, nfds_t count, int64_t delay_ms)
{
        int64_t end_ms = clock_monotonic_ms() + delay_ms, left_ms = delay_ms;

        while (poll(fds, count, (int)left_ms) < 0 && errno == EINTR) {
                left_ms = delay_ms < 0 ? -1 : end_ms - clock_monotonic_ms();
                if (delay_ms >= 0 && left_ms < 0)
                        left_ms = 0;
        }
}

bool sim_wait(const struct sim *sim, int64_t delay_ms)
{
        struct pollfd stop = {.fd = sim->stop_fd, .events = POLLIN};

        poll_until(&stop, 1, delay_ms > 0 ? delay_ms : 0);
        return stop.revents == 0;
}

bool sim_wait_for_close(const struct sim *sim, int socket_fd, int64_t delay_ms)
{
        struct pollfd fds[] = {
                {.fd = sim->stop_fd, .events = POLLIN},
                {.fd = socket_fd, .events = POLLRDHUP},
        };

        poll_until(fds, 2, delay_ms);
        return fds[0].revents == 0 && fds[1].revents != 0;
}

bool sim_wait_for_input(const struct sim *sim, int socket_fd, int64_t delay_ms)
{
        struct pollfd fds[] = {
                {.fd = sim->stop_fd, .events = POLLIN},
                {.fd = socket_fd, .events = POLLIN | POLLRDHUP},
        };

        poll_until(fds, 2, delay_ms);
        return fds[0].revents != 0 || fds[1].revents != 0;
}
