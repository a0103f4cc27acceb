/*
 * socket: one socket of libcurl's, watched on the loop, and what is known of the connection on it.
 *
 * libcurl does not tell which of its connections a request is about to use, and considers a kept
 * connection alive that has something to read. So every connection has a record here, from when
 * libcurl opens the socket until it closes it: to look at the socket immediately before a request
 * is written to it, while it is idle, and when a response begins or a request times out.
 *
 * Only pool and transfer include this header. Thread: the loop's.
 */
#ifndef SOLVEGATE_UPSTREAM_SOCKET_H
#define SOLVEGATE_UPSTREAM_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>
#include <uv.h>

struct pool;

struct upstream_socket {
        UT_hash_handle by_fd; /* in pool->sockets */
        int fd;
        struct pool *pool;
        uv_poll_t poll;
        int events;          /* that the poll waits for; 0: it is stopped */
        bool connection;     /* to an upstream; false: of libcurl's own, for name look-ups */
        bool idle;           /* libcurl waits for nothing on it */
        bool http2;          /* known once a request was begun on it */
        unsigned requests;   /* that were begun on it */
        bool named;          /* the four below are known */
        uint16_t local_port; /* of the host's order, as is the next */
        uint16_t remote_port;
        char local_ip[INET6_ADDRSTRLEN];
        char remote_ip[INET6_ADDRSTRLEN];
};

/* What there is to read on a connection. */
enum socket_input {
        SOCKET_EMPTY,  /* nothing */
        SOCKET_DATA,   /* bytes */
        SOCKET_CLOSED, /* the end of the stream, or an error */
};

/*
 * Makes a record, which watches nothing yet. connection: see above. Returns 0 or -errno; the
 * descriptor stays the caller's.
 */
int upstream_socket_new(struct pool *pool, int fd, bool connection,
                        struct upstream_socket **ret_socket);

/* Stops watching and frees; the caller closes the descriptor afterwards. */
void upstream_socket_free(struct upstream_socket *socket);

/* Watches for these events of libuv's, all of them in one callback. Returns 0 or -errno. */
int upstream_socket_watch(struct upstream_socket *socket, int events, uv_poll_cb callback);

/* Watches for nothing. */
void upstream_socket_ignore(struct upstream_socket *socket);

/* Whether this connection runs between these addresses and ports, as libcurl names them. */
bool upstream_socket_is(struct upstream_socket *socket, const char *remote_ip, int remote_port,
                        const char *local_ip, int local_port);

/* Looks without reading. */
enum socket_input upstream_socket_input(const struct upstream_socket *socket);

/* Whether bytes that were written wait here still for the peer's acknowledgment (tcp(7),
 * SIOCOUTQ). */
bool upstream_socket_unacknowledged(const struct upstream_socket *socket);

/* Whether nothing was received in the last duration_ms (tcp(7), TCP_INFO). */
bool upstream_socket_silent(const struct upstream_socket *socket, int64_t duration_ms);

#endif
