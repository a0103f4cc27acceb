/*
 * signals: see signals.h. They are blocked and read from a descriptor (signalfd(2)), so none
 * interrupts a system call, and one that comes early waits.
 */
#include "base/signals.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uv.h>

static const int stopping[] = {SIGTERM, SIGINT, SIGQUIT};

/* By default each of them would end the process. */
static const int others[] = {SIGHUP,  SIGUSR1, SIGUSR2, SIGALRM,   SIGVTALRM,
                             SIGPROF, SIGIO,   SIGPWR,  SIGSTKFLT, SIGXCPU};

static const int errors_instead[] = {SIGPIPE, SIGXFSZ, SIGTTIN, SIGTTOU};

struct signals {
        int fd;
        sigset_t set;
        uv_poll_t poll;
        void (*take)(void *arg, int number);
        void *arg;
};

static struct log_limit ignored = LOG_LIMIT(LOG_LEVEL_WARNING, "ignored signals", 10, 1);

static void fill_other_set(sigset_t *ret_set)
{
        (void)sigemptyset(ret_set);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
                (void)sigaddset(ret_set, others[i]);
        for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
                (void)sigaddset(ret_set, number);
}

static void fill_stop_set(sigset_t *ret_set)
{
        (void)sigemptyset(ret_set);
        for (size_t i = 0; i < sizeof stopping / sizeof stopping[0]; i++)
                (void)sigaddset(ret_set, stopping[i]);
}

/* Handlers, which a sanitizer may have installed already, are left alone. */
static void reset_ignored(void)
{
        for (int number = 1; number < NSIG; number++) {
                struct sigaction action;
                if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
                        (void)signal(number, SIG_DFL);
        }
}

void signals_begin(void)
{
        sigset_t set;

        fill_other_set(&set);
        (void)pthread_sigmask(SIG_SETMASK, &set, NULL);
        reset_ignored();
        for (size_t i = 0; i < sizeof errors_instead / sizeof errors_instead[0]; i++)
                (void)signal(errors_instead[i], SIG_IGN);
}

void signals_name(int number, char ret_name[static SIGNALS_NAME_BYTES_MAX])
{
        const char *name = sigabbrev_np(number);

        if (name)
                (void)snprintf(ret_name, SIGNALS_NAME_BYTES_MAX, "SIG%s", name);
        else
                (void)snprintf(ret_name, SIGNALS_NAME_BYTES_MAX, "SIGRTMIN+%d", number - SIGRTMIN);
}

static bool is_stop(int number)
{
        for (size_t i = 0; i < sizeof stopping / sizeof stopping[0]; i++) {
                if (stopping[i] == number)
                        return true;
        }
        return false;
}

/* code is the si_code of sigaction(2): above 0 it is the kernel's, else pid and uid are valid, but
 * for timers. */
static void log_ignored(int number, int code, int pid, int uid)
{
        char name[SIGNALS_NAME_BYTES_MAX];

        if (!log_enabled(LOG_LEVEL_WARNING) || !log_limit_take(&ignored, clock_monotonic_us()))
                return;
        signals_name(number, name);
        if (code == SI_USER || code == SI_QUEUE || code == SI_TKILL)
                log_warning("%s from process %d of user %d ignored: it has no effect here", name,
                            pid, uid);
        else
                log_warning("%s from the kernel ignored: it has no effect here", name);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct signals *signals = poll->data;
        struct signalfd_siginfo info;

        (void)status;
        (void)events;
        if (read(signals->fd, &info, sizeof info) != (ssize_t)sizeof info)
                return;
        int number = (int)info.ssi_signo;
        if (number == SIGHUP || is_stop(number))
                signals->take(signals->arg, number);
        else
                log_ignored(number, info.ssi_code, (int)info.ssi_pid, (int)info.ssi_uid);
}

static void fill_whole_set(sigset_t *ret_set)
{
        sigset_t stop;

        fill_other_set(ret_set);
        fill_stop_set(&stop);
        (void)sigorset(ret_set, ret_set, &stop);
}

void signals_block(void)
{
        sigset_t stop;

        fill_stop_set(&stop);
        (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

int signals_open(struct loop *loop, void (*take)(void *arg, int number), void *arg,
                 struct signals **ret_signals)
{
        struct signals *signals = calloc(1, sizeof *signals);

        if (!signals)
                return -ENOMEM;
        signals->take = take;
        signals->arg = arg;
        signals->poll.data = signals;
        signals_block();
        fill_whole_set(&signals->set);
        signals->fd = signalfd(-1, &signals->set, SFD_CLOEXEC | SFD_NONBLOCK);
        int r = signals->fd < 0 ? -errno : 0;
        if (r == 0)
                r = uv_poll_init(loop_uv(loop), &signals->poll, signals->fd);
        if (r < 0) {
                if (signals->fd >= 0)
                        (void)close(signals->fd);
                free(signals);
                return r;
        }
        r = uv_poll_start(&signals->poll, UV_READABLE, on_readable);
        if (r < 0) {
                signals_free(signals);
                return r;
        }
        *ret_signals = signals;
        return 0;
}

void signals_drop_hangup(struct signals *signals)
{
        (void)sigdelset(&signals->set, SIGHUP);
        (void)signalfd(signals->fd, &signals->set, 0);
}

void signals_free(struct signals *signals)
{
        sigset_t stop;

        if (!signals)
                return;
        (void)uv_poll_stop(&signals->poll);
        (void)close(signals->fd);
        uv_close((uv_handle_t *)&signals->poll, on_closed);
        fill_stop_set(&stop);
        (void)pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
}

int signals_wait(void)
{
        sigset_t set;
        siginfo_t info;

        fill_whole_set(&set);
        for (;;) {
                int number = sigwaitinfo(&set, &info);
                if (number == SIGHUP || is_stop(number))
                        return number;
                if (number > 0)
                        log_ignored(number, info.si_code, (int)info.si_pid, (int)info.si_uid);
        }
}
