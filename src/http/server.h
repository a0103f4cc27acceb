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

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_listen;
struct forwarder;
struct gateway;
struct loop;
struct policy;
struct server;
struct strbuf;
struct tally;
struct tls_identity;

#define LISTENER_NAME_BYTES_MAX 64

/* One address that is listened on, with a socket for each worker (SO_REUSEPORT, socket(7)). */
struct listener {
        int *sockets; /* one for each worker; -1 once a server owns it */
        int socket_count;
        const char *scheme;                 /* "http" or "https" */
        char name[LISTENER_NAME_BYTES_MAX]; /* "127.0.0.1:8118", "[::1]:8118" */
};

/* So many more are accepted, to be told that there are too many; the rest are closed at once. */
#define SERVER_CONNECTIONS_BEYOND_LIMIT 256

/* What servers of one kind share. */
struct server_shared {
        _Atomic int connections;     /* open now, on all of them */
        _Atomic int connections_max; /* a reload may change it */
};

/* Whom a server is for: which routes it has. */
enum server_kind {
        SERVER_FOR_TOOLS,
        SERVER_FOR_OPERATORS, /* needs no forwarder */
};

/*
 * Opens count sockets on one address, whose port the kernel chooses when it is 0. A port on which
 * somebody else listens already is refused, though SO_REUSEPORT would share it. On failure returns
 * -errno and writes one line to problem.
 */
int listener_open(const struct config_listen *config, int count, struct listener *ret_listener,
                  struct strbuf *problem);

/* Closes the sockets that no server owns. */
void listener_close(struct listener *listener);

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
        struct tls_identity *identity; /* likewise; NULL: plain HTTP */
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
