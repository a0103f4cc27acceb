/*
 * socket: one socket of libcurl's, watched on the loop, and what is known of the connection on it.
 *
 * libcurl does not tell which of its connections a request is about to use, and considers a kept
 * connection alive that has something to read. So every connection has a record here, from when
 * libcurl opens the socket until it closes it: to look at the socket immediately before a request
 * is written to it, while it is idle, and when a response begins or a request times out.
 *
 * libcurl 7.88 closes a socket that did not become a connection, such as the slower one of two
 * addresses, without calling CURLOPT_CLOSESOCKETFUNCTION. If it was watched, CURL_POLL_REMOVE
 * follows; otherwise its record stays until the descriptor is opened again or the pool is freed. So
 * nothing is done to the descriptor of a record that watches nothing, and carried no request.
 *
 * Only pool, send and transfer include this header. Thread: the loop's.
 */
#ifndef SOLVEGATE_UPSTREAM_SOCKET_H
#define SOLVEGATE_UPSTREAM_SOCKET_H

#include "base/hash_table.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct loop;
struct pool;

struct upstream_socket {
        UT_hash_handle by_fd; /* in pool->sockets */
        int fd;
        struct pool *pool;
        uv_poll_t poll;
        bool polled;         /* poll is in use */
        int events;          /* that the poll waits for; 0: it is stopped */
        bool connection;     /* to an upstream; false: of libcurl's own, for name look-ups */
        bool idle;           /* libcurl waits for nothing on it */
        bool http2;          /* known once a request was begun on it */
        bool tls;            /* likewise */
        unsigned requests;   /* that were begun on it */
        bool named;          /* the four below are known, and do not change */
        uint16_t local_port; /* in host byte order, as is the next */
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

/* Makes a record, which watches nothing yet. Returns NULL without memory. The descriptor stays the
 * caller's. */
struct upstream_socket *upstream_socket_new(struct pool *pool, int fd);

/* Stops watching and frees. Does not close the descriptor. */
void upstream_socket_free(struct upstream_socket *socket);

/* Watches on the loop for these events of libuv's, all of them in one callback. Returns 0 or
 * -errno. */
int upstream_socket_watch(struct upstream_socket *socket, struct loop *loop, int events,
                          uv_poll_cb callback);

/* Watches for nothing. */
void upstream_socket_ignore(struct upstream_socket *socket);

/* Whether this connection runs between these addresses and ports, as libcurl names them. */
bool upstream_socket_is(struct upstream_socket *socket, const char *remote_ip, int remote_port,
                        const char *local_ip, int local_port);

/* Looks without reading. */
enum socket_input upstream_socket_peek(int fd);

#endif
