/*
 * activation: see activation.h.
 */
#include "daemon/activation.h"

#include "config/config.h"
#include "config/problem.h"
#include "http/listener.h"
#include "http/server.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static bool is_wanted(const struct config *config, int fd)
{
        for (size_t i = 0; i < config->listen_count; i++) {
                if (listener_is_at(&config->listen[i], fd))
                        return true;
        }
        return false;
}

/* Its number tells which it is in the order of the socket unit. */
static int check_socket(const struct config *config, int fd, struct strbuf *problem)
{
        char name[LISTENER_NAME_BYTES_MAX];
        int number = fd - SD_LISTEN_FDS_START + 1;

        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 || !listener_describe(fd, name)) {
                problem_write(problem, config->file, 0,
                              "socket %d that systemd has passed is no listening TCP socket; write "
                              "ListenStream=ADDRESS:PORT in the socket unit, and no Accept=yes",
                              number);
                return -EINVAL;
        }
        if (is_wanted(config, fd))
                return 0;
        problem_write(problem, config->file, 0,
                      "systemd has passed a socket at %s, but no entry of listen has that address "
                      "and port, the first is %s port %d; write the same in ListenStream= of the "
                      "socket unit and in listen",
                      name, config->listen[0].address, config->listen[0].port);
        return -EINVAL;
}

static int check_shares(const struct config *config, const struct activation *activation,
                        struct strbuf *problem)
{
        int fds[ACTIVATION_SOCKETS_MAX];

        for (size_t i = 0; i < config->listen_count; i++) {
                const struct config_listen *listen = &config->listen[i];
                int count = activation_find(activation, listen, fds);
                char fix[sizeof "set workers = ; or " + 12] = "";
                if (count <= config->workers)
                        continue;
                if (count <= CONFIG_WORKERS_MAX)
                        (void)snprintf(fix, sizeof fix, "set workers = %d; or ", count);
                problem_write(problem, config->file, 0,
                              "systemd has passed %d sockets at %s port %d, more than there are "
                              "workers to accept on them; %swrite ListenStream= fewer times",
                              count, listen->address, listen->port, fix);
                return -EINVAL;
        }
        return 0;
}

int activation_take(const struct config *config, struct activation *ret_activation,
                    struct strbuf *problem)
{
        struct activation activation = {0};
        int passed = sd_listen_fds(1);
        int r = passed < 0 ? passed : 0; /* a descriptor that is none, or no number of them */

        if (r < 0) {
                problem_write(problem, config->file, 0,
                              "the sockets that systemd has passed ($LISTEN_FDS) cannot be taken: "
                              "%s",
                              strerror(-r));
                return r;
        }
        if (passed > ACTIVATION_SOCKETS_MAX) {
                problem_write(problem, config->file, 0,
                              "systemd has passed %d sockets; write ListenStream= %d times at most "
                              "in the socket unit",
                              passed, ACTIVATION_SOCKETS_MAX);
                return -E2BIG;
        }
        for (int i = 0; i < passed; i++)
                activation.fds[activation.count++] = SD_LISTEN_FDS_START + i;
        for (int i = 0; r == 0 && i < passed; i++)
                r = check_socket(config, activation.fds[i], problem);
        if (r == 0)
                r = check_shares(config, &activation, problem);
        if (r < 0) {
                activation_done(&activation);
                return r;
        }
        *ret_activation = activation;
        return 0;
}

int activation_find(const struct activation *activation, const struct config_listen *listen,
                    int ret_fds[static ACTIVATION_SOCKETS_MAX])
{
        int count = 0;

        for (int i = 0; i < activation->count; i++) {
                if (listener_is_at(listen, activation->fds[i]))
                        ret_fds[count++] = activation->fds[i];
        }
        return count;
}

void activation_done(struct activation *activation)
{
        for (int i = 0; i < activation->count; i++)
                (void)close(activation->fds[i]);
        activation->count = 0;
}
