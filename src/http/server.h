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

#include "http/peers.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_listen;
struct forwarder;
struct gateway;
struct loop;
struct operator_hooks;
struct policy;
struct server;
struct strbuf;
struct tally;
struct tls_identity;

#define LISTENER_NAME_BYTES_MAX 64

/*
 * One address that is listened on, with a socket for each worker: sockets of their own
 * (SO_REUSEPORT, socket(7)), or duplicates of those that the service manager has passed. A passed
 * socket lives on in the service manager: who comes while nobody accepts waits in its backlog.
 */
struct listener {
        int *sockets; /* one for each worker; -1 once a server owns it */
        bool passed;  /* they are the service manager's */
        int socket_count;
        const char *scheme;                    /* "http" or "https" */
        char name[LISTENER_NAME_BYTES_MAX];    /* "127.0.0.1:8118", "[::1]:8118" */
        char address[LISTENER_NAME_BYTES_MAX]; /* "127.0.0.1", "::1" */
        int port;
        bool dual_stack; /* "::", for IPv4 as well: only a passed socket may be */
};

/* So many more at most are accepted, to be refused. */
#define SERVER_CONNECTIONS_BEYOND_LIMIT 256

/* What servers of one kind share. The limits may be changed by a reload. */
struct server_shared {
        _Atomic int connections;     /* open now, on all of them */
        _Atomic int seats;           /* how many of those are within connections_max */
        _Atomic int files;           /* descriptors: connections, and sockets that linger */
        _Atomic int connections_max; /* > 0 */
        _Atomic int beyond_max;      /* > 0: files may be so many more than connections_max */
        _Atomic bool waits; /* beyond that a connection waits in the kernel; otherwise it is
                               closed at once */
        _Atomic int fd_max; /* with waits: it waits also if its descriptor would be higher */
        _Atomic int connections_per_address_max; /* 0: the default, see peers.h */
        bool by_address;                         /* connections of each address are counted */
        struct peers peers;                      /* how many each address has; with by_address */
        _Atomic int64_t handshakes_failed;
        _Atomic int64_t pauses; /* of connections whose bodies come, see pause.h */
};

/* Whom a server is for: which routes it has. */
enum server_kind {
        SERVER_FOR_TOOLS,
        SERVER_FOR_OPERATORS, /* metrics and health; needs no forwarder */
        SERVER_FOR_CONTROL,   /* the admin socket: these, and the control API; likewise */
};

/*
 * Opens count sockets on one address, whose port the kernel chooses when it is 0. A port on which
 * somebody else listens already is refused, though SO_REUSEPORT would share it. On failure returns
 * -errno and writes one line to problem.
 */
int listener_open(const struct config_listen *config, int count, struct listener *ret_listener,
                  struct strbuf *problem);

/*
 * Makes one of count duplicates of fd_count passed sockets, 1 to count, each of which is used. fds
 * stay the caller's. Returns 0 or -errno.
 */
int listener_adopt(const struct config_listen *config, int count, const int *fds, int fd_count,
                   struct listener *ret_listener);

/* Writes a listener's address and port as in listener.name, but as they are configured. */
void listener_name(const struct config_listen *config,
                   char ret_name[static LISTENER_NAME_BYTES_MAX]);

/* Tells whether a socket is bound to exactly this address and port. */
bool listener_is_at(const struct config_listen *config, int fd);

/* Writes where a socket is bound, as in listener.name. Returns false unless it is one of IPv4 or
 * IPv6. */
bool listener_describe(int fd, char ret_name[static LISTENER_NAME_BYTES_MAX]);

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
