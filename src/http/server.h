/*
 * server: one libmicrohttpd daemon on a loop, for one listening socket.
 *
 * The daemon has no thread and no poll of its own: its epoll descriptor is watched by the loop and
 * MHD_run() is called from there. Every worker has a server of its own for each listener, so a
 * connection stays on one thread; the one for operators is on the main loop.
 *
 * Thread: the loop's, but for server_listen().
 */
#ifndef SOLVEGATE_HTTP_SERVER_H
#define SOLVEGATE_HTTP_SERVER_H

#include "http/server_shared.h"

#include <stdbool.h>
#include <stddef.h>

struct forwarder;
struct gateway;
struct listener;
struct loop;
struct operator_hooks;
struct policy;
struct server;
struct tally;
struct tls_identity;

struct server_setup {
        enum server_kind kind;
        struct gateway *gateway;
        struct forwarder *forwarder;
        struct loop *loop;
        struct server_shared *shared;
        struct tally *tally; /* of the process */
        struct listener *listener;
        int socket_index;      /* which of the listener's sockets; the server takes it over */
        struct policy *policy; /* the server takes a reference */
        struct tls_identity *identity;      /* likewise; NULL: plain HTTP */
        const struct operator_hooks *hooks; /* what operators are served with; NULL for tools */
};

/* What is passed must outlive the server. Returns 0 or -errno. */
int server_new(const struct server_setup *setup, struct server **ret_server);

/*
 * A reload: takes references to both, and goes by the configuration that is in force. New requests
 * are judged by the new policy, new handshakes use the new identity. A request whose token is no
 * client's any more is answered with 401, also where it is held. The identity must be NULL where it
 * was. Thread: the loop's.
 */
void server_reload(struct server *server, struct policy *policy, struct tls_identity *identity);

/*
 * A stop has begun: every answer ends its connection. Where the socket was passed nobody is
 * accepted any more, which the next process will do. Thread: the loop's.
 */
void server_drain(struct server *server);

/*
 * Whether a request may be about to come that nobody else would answer: after server_drain(), on a
 * connection that was accepted and has brought none yet, or brought one just now. Thread: the
 * loop's.
 */
bool server_expects(const struct server *server);

/*
 * The end, in two steps. server_finish(): what is held for an answer is answered with what there
 * is, and nothing is held for one any more. server_close(): every request is refused from now on;
 * returns whether none is held any more. Until that is so the server must not be freed. Thread: the
 * loop's.
 */
void server_finish(struct server *server);
bool server_close(struct server *server);

/* How many requests are being received, held or answered. */
size_t server_requests(const struct server *server);

/*
 * Closes every connection and frees the server. Requires that no request is held for a job that
 * is not final. Takes NULL.
 */
void server_free(struct server *server);

#endif
