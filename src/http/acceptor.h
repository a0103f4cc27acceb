/*
 * acceptor: accepts the connections of one listening socket on a loop.
 *
 * In a turn of the loop it accepts ACCEPTOR_TURN_MAX connections at most, so that a flood does not
 * keep the loop from the others; that takes a few milliseconds, about as long as a turn of
 * libmicrohttpd may take (pause.h), so that established connections do not keep it from new ones.
 *
 * Its owner decides before each one whether there is room. Without room, or when the process or the
 * system is out of file descriptors (EMFILE, ENFILE), it pauses: further connections wait in the
 * kernel's backlog, and the loop does not turn for them.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_HTTP_ACCEPTOR_H
#define SOLVEGATE_HTTP_ACCEPTOR_H

#include <stdbool.h>
#include <sys/socket.h>

#define ACCEPTOR_TURN_MAX 64

struct acceptor;
struct loop;

struct acceptor_setup {
        struct loop *loop;
        int socket; /* listens, without blocking; the acceptor owns it once it is made */

        /* Returns whether one more connection may be accepted now. */
        bool (*admit)(void *arg);

        /* A connection was accepted. It owns fd, which does not block. */
        void (*accepted)(void *arg, int fd, const struct sockaddr *address, socklen_t len);

        /* accept4(2) has failed with error, a positive errno, and is tried again after a pause. */
        void (*failed)(void *arg, int error);
        void *arg;
};

/* Returns 0 or -errno. */
int acceptor_new(const struct acceptor_setup *setup, struct acceptor **ret_acceptor);

/* There may be room again: ends a pause. */
void acceptor_resume(struct acceptor *acceptor);

/* Closes the socket and frees. Nothing is called after it. Takes NULL. */
void acceptor_free(struct acceptor *acceptor);

#endif
