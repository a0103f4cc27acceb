/*
 * acceptor: see acceptor.h.
 */
#include "http/acceptor.h"

#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define NO_ROOM_MS       20 /* a connection that another loop closes does not end the pause */
#define AFTER_FAILURE_MS 100

/* The poll handle closes on its own time, so it is freed then. */
struct acceptor {
        struct acceptor_setup setup;
        uv_poll_t poll;
        struct loop_timer *pause;
        bool paused;
};

static void pause_for(struct acceptor *acceptor, int64_t ms)
{
        (void)uv_poll_stop(&acceptor->poll);
        acceptor->paused = true;
        loop_timer_start(acceptor->pause, ms, 0);
}

/* A client that has gone again, or an error of its network: accept(2) tells it to go on. */
static bool is_of_one_connection(int error)
{
        switch (error) {
        case EINTR:
        case ECONNABORTED:
        case EPERM: /* by a firewall's rule */
        case EPROTO:
        case ENOPROTOOPT:
        case ENETDOWN:
        case ENETUNREACH:
        case ENONET:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
                return true;
        default:
                return false;
        }
}

/* Returns whether there may be more. */
static bool accept_one(struct acceptor *acceptor)
{
        const struct acceptor_setup *setup = &acceptor->setup;
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;

        int fd = accept4(setup->socket, (struct sockaddr *)&address, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
                setup->accepted(setup->arg, fd, (const struct sockaddr *)&address, len);
                return true;
        }
        int error = errno;
        if (is_of_one_connection(error))
                return true;
        if (error != EAGAIN && error != EWOULDBLOCK) {
                pause_for(acceptor, AFTER_FAILURE_MS);
                setup->failed(setup->arg, error);
        }
        return false;
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
        struct acceptor *acceptor = poll->data;

        (void)events;
        if (status < 0) { /* libuv has stopped the poll */
                pause_for(acceptor, AFTER_FAILURE_MS);
                return;
        }
        for (int i = 0; i < ACCEPTOR_TURN_MAX; i++) {
                if (!acceptor->setup.admit(acceptor->setup.arg)) {
                        pause_for(acceptor, NO_ROOM_MS);
                        return;
                }
                if (!accept_one(acceptor))
                        return;
        }
}

void acceptor_resume(struct acceptor *acceptor)
{
        if (!acceptor->paused)
                return;
        acceptor->paused = false;
        loop_timer_stop(acceptor->pause);
        if (uv_poll_start(&acceptor->poll, UV_READABLE, on_connections) < 0)
                pause_for(acceptor, AFTER_FAILURE_MS);
}

static void on_pause_over(void *arg)
{
        acceptor_resume(arg);
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static void acceptor_stop(struct acceptor *acceptor)
{
        loop_timer_free(acceptor->pause);
        uv_close((uv_handle_t *)&acceptor->poll, on_closed);
}

int acceptor_new(const struct acceptor_setup *setup, struct acceptor **ret_acceptor)
{
        struct acceptor *acceptor = calloc(1, sizeof *acceptor);

        if (!acceptor)
                return -ENOMEM;
        acceptor->setup = *setup;
        int r = uv_poll_init(loop_uv(setup->loop), &acceptor->poll, setup->socket);
        if (r < 0) {
                free(acceptor);
                return r;
        }
        acceptor->poll.data = acceptor;
        r = loop_timer_new(setup->loop, on_pause_over, acceptor, &acceptor->pause);
        if (r == 0)
                r = uv_poll_start(&acceptor->poll, UV_READABLE, on_connections);
        if (r < 0) {
                acceptor_stop(acceptor);
                return r;
        }
        *ret_acceptor = acceptor;
        return 0;
}

void acceptor_free(struct acceptor *acceptor)
{
        if (!acceptor)
                return;
        int socket = acceptor->setup.socket;

        acceptor_stop(acceptor);
        (void)close(socket);
}
