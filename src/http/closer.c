/*
 * closer: see closer.h.
 */
#include "http/closer.h"

#include "base/clock.h"
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define TICK_MS     20
#define PIECE_BYTES 65536

struct lingering {
        int fd;
        int64_t deadline_ms;
        struct lingering *prev, *next;
};

struct closer {
        struct loop_timer *timer;
        _Atomic int *files;
        struct lingering *list; /* the oldest, which is due first, at the head */
        size_t count;
};

static void end(struct closer *closer, struct lingering *one)
{
        DL_DELETE(closer->list, one);
        closer->count--;
        (void)close(one->fd);
        (void)atomic_fetch_sub(closer->files, 1);
        free(one);
}

/* Drops at most `most` bytes and adds their number to *dropped. Returns whether more may come. */
static bool drop_input(const struct lingering *one, size_t most, size_t *dropped)
{
        static _Thread_local char
                piece[PIECE_BYTES]; /* a local socket copies in spite of MSG_TRUNC */
        size_t left = most;

        while (left > 0) {
                size_t size = left < sizeof piece ? left : sizeof piece;
                ssize_t got = recv(one->fd, piece, size, MSG_TRUNC);
                if (got < 0)
                        return errno == EAGAIN || errno == EINTR;
                if (got == 0)
                        return false;
                *dropped += (size_t)got;
                left -= (size_t)got;
        }
        return true;
}

static void on_tick(void *arg)
{
        struct closer *closer = arg;
        struct lingering *one, *next;
        int64_t now_ms = clock_monotonic_ms();
        size_t dropped = 0, waiting = closer->count;

        /* A connection leaves what it does not use of its share to those after it. */
        DL_FOREACH_SAFE (closer->list, one, next) {
                size_t share = (CLOSER_TICK_BYTES - dropped) / waiting--;
                if (!drop_input(one, share, &dropped) || one->deadline_ms <= now_ms)
                        end(closer, one);
        }
        if (!closer->list)
                loop_timer_stop(closer->timer);
}

int closer_new(struct loop *loop, _Atomic int *files, struct closer **ret_closer)
{
        struct closer *closer = calloc(1, sizeof *closer);

        if (!closer)
                return -ENOMEM;
        closer->files = files;
        int r = loop_timer_new(loop, on_tick, closer, &closer->timer);
        if (r < 0) {
                free(closer);
                return r;
        }
        *ret_closer = closer;
        return 0;
}

void closer_free(struct closer *closer)
{
        if (!closer)
                return;
        while (closer->list)
                end(closer, closer->list);
        loop_timer_free(closer->timer);
        free(closer);
}

bool closer_end_oldest(struct closer *closer)
{
        if (!closer->list)
                return false;
        end(closer, closer->list);
        return true;
}

void closer_add(struct closer *closer, int fd)
{
        struct lingering *one = calloc(1, sizeof *one);

        if (!one)
                return;
        one->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (one->fd < 0) {
                free(one);
                return;
        }
        (void)shutdown(one->fd, SHUT_WR);
        one->deadline_ms = clock_monotonic_ms() + CLOSER_MS;
        if (closer->count == CLOSER_MAX)
                end(closer, closer->list);
        if (!closer->list)
                loop_timer_start(closer->timer, TICK_MS, TICK_MS);
        DL_APPEND(closer->list, one);
        closer->count++;
        (void)atomic_fetch_add(closer->files, 1);
}
