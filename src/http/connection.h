/*
 * connection: the connections of a server: how they are opened and closed, what is received on them
 * (connection_table.c), their deadlines (connection_deadline.c), and which have room
 * (connection_room.c).
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_CONNECTION_H
#define SOLVEGATE_HTTP_CONNECTION_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client;
struct client_connection;
struct connection_table;
struct framing_fault;
struct reply_field;
struct request;
struct server;

/* How a connection ends that is cut. */
enum connection_end {
        CONNECTION_SHUT,   /* at once, from outside libmicrohttpd */
        CONNECTION_LINGER, /* libmicrohttpd closes it as soon as it has control again; what the
                              client is still sending is read for a while, see closer.h */
};

/* How long a kept connection may pause between requests. */
#define CONNECTION_IDLE_TIMEOUT_MS 75000

/* How long a connection beyond a limit may take to send the header of its one request. */
#define CONNECTION_BEYOND_TIMEOUT_MS 2000

enum connection_phase {
        CONNECTION_BEYOND, /* new, and beyond a limit: the same, but CONNECTION_BEYOND_TIMEOUT_MS at
                              most */
        CONNECTION_HEADER, /* new, or a request has begun: limits.header_timeout */
        CONNECTION_BODY,   /* a body is awaited: limits.body_timeout */
        CONNECTION_REPLY,  /* the response is being written: limits.body_timeout */
        CONNECTION_UNREAD, /* kept alive; the client may not have read the last response yet:
                              limits.body_timeout, then it is closed or CONNECTION_IDLE */
        CONNECTION_IDLE, /* kept alive, and everything was read: the next request is awaited for the
                            rest of CONNECTION_IDLE_TIMEOUT_MS */
        CONNECTION_BUSY, /* it is our turn: no deadline */
};

/* Whether a connection may stay; each of the others is told so in the response to its first
 * request. */
enum connection_room {
        CONNECTION_ROOM,
        CONNECTION_OVER_LIMIT,         /* limits.connections */
        CONNECTION_OVER_ADDRESS_LIMIT, /* limits.connections_per_address */
};

/*
 * Functions of the layer above that a connection calls. All but client_gone send an error response
 * past libmicrohttpd and end the connection, by connection_cut(): cut, malformed and body_late
 * while the body of a request is received, header_refuse and header_late before its header is
 * complete. limit_ms is how long the client had.
 */
struct connection_events {
        /* Ends the hold of a request: its client has closed its side, or its connection is needed
         * for another client. */
        void (*client_gone)(struct request *request);
        void (*cut)(struct request *request, enum connection_end end, unsigned status,
                    const char *code, const char *message);
        void (*malformed)(struct request *request, const struct framing_fault *fault);
        void (*body_late)(struct request *request, int64_t limit_ms);
        void (*header_refuse)(struct server *server, struct MHD_Connection *mhd,
                              struct client_connection *connection, enum connection_end end,
                              unsigned status, const char *code, const char *message);
        void (*header_late)(struct server *server, struct MHD_Connection *mhd,
                            struct client_connection *connection, int64_t limit_ms);
};

/* events is static. Returns 0 or -errno. */
int connection_table_new(struct server *server, const struct connection_events *events,
                         struct connection_table **ret_table);
void connection_table_free(struct connection_table *table);

/* Ends TLS on all connections, before libmicrohttpd is stopped: it shuts their sockets down first,
 * and then the end of TLS cannot be sent any more. */
void connection_table_end(struct connection_table *table);
void connection_on_notify(void *arg, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code);

/*
 * Returns whether one more connection may be accepted. Without room for its descriptor it ends one
 * that is beyond a limit and has sent nothing that is not read yet, or that lingers; the first is
 * closed soon, and then acceptor_resume() is called.
 */
bool connection_admit(struct server *server);

/*
 * While a request is held, its connection reports client_gone when the client closes its
 * side. connection_hold() returns false when it has done so already.
 */
bool connection_hold(struct client_connection *connection, struct request *request);
void connection_unhold(struct client_connection *connection);

/*
 * To be called whenever more is read from a connection. libmicrohttpd does not see an end of stream
 * that comes together with data: after a short read it waits for another edge. Where the client has
 * closed its side, this makes one; what came before stays readable.
 */
void connection_nudge(struct client_connection *connection);

/* The connection of a request. */
struct client_connection *connection_of(struct MHD_Connection *mhd);

/* Which request is under way on it; NULL: none. */
void connection_carry(struct client_connection *connection, struct request *request);

/* When the first line of the request under way had come. Monotonic, in microseconds. */
int64_t connection_request_began_us(const struct client_connection *connection);

/*
 * Whether the client, which had closed its side, took nothing of what was sent since: it is gone,
 * where it could have waited for its answer.
 */
bool connection_was_reset(const struct client_connection *connection);

/* A request line has come (MHD_OPTION_URI_LOG_CALLBACK): the rest of the header has its own time.
 */
void *connection_on_request_line(void *arg, const char *uri, struct MHD_Connection *mhd);

/* Whether a first request is awaited on any, or one has ended so short a time ago that the next may
 * be on its way. */
bool connection_any_expected(const struct connection_table *table);

/* Whether a TLS handshake is under way on any. */
bool connection_any_handshake(struct connection_table *table);

/* Says what is awaited from now on. */
void connection_enter(struct client_connection *connection, enum connection_phase phase);

/* The response to the request in progress was written, and the connection may be kept. */
void connection_answered(struct client_connection *connection);

/* The client may still be sending when the connection is closed, see closer.h. */
void connection_linger(struct client_connection *connection);

/*
 * The header of its request was checked. client: the one whose token it has, or NULL. served: it
 * was not refused.
 */
void connection_checked(struct client_connection *connection, struct client *client, bool served);

/* Whether there is room for the connection whose first request has come; looks for it once more,
 * after connection_checked(). */
enum connection_room connection_claim_room(struct client_connection *connection);

/* How many connections its address may have: its share. */
int connection_share(const struct client_connection *connection);

/* Whether the response to the request in progress is the last one: there is no room for the
 * connection, or what follows the request is malformed. */
bool connection_ends_here(const struct client_connection *connection);

/* ---- what is received, see receive.h ---- */

/* The connection of a socket, or NULL. */
struct client_connection *connection_find(const struct connection_table *table, int fd);

/* Whether it speaks TLS. */
bool connection_has_tls(const struct client_connection *connection);

/* Returns 0 if libmicrohttpd may read more; -EAGAIN if not now, -ECONNRESET if never. */
int connection_may_receive(const struct client_connection *connection);

/*
 * How many bytes of white space were received before, and may have to be passed on before the next
 * ones. The second passes on `size` of them, as many at most: where there is no room for more.
 */
size_t connection_held(const struct client_connection *connection);
ssize_t connection_release(struct client_connection *connection, void *bytes, size_t size);

/*
 * Checks received bytes, len > 0 of them, which begin at bytes + connection_held(), and takes out
 * what is not passed on (framing.h). Returns how many are left for libmicrohttpd, from bytes on. A
 * malformed message is answered and the connection ended: -ECONNRESET; or, while requests before it
 * are in progress, the last of them will be the last on the connection: -EAGAIN.
 */
ssize_t connection_receive(struct client_connection *connection, void *bytes, size_t len);

/* Whether the header of the request that libmicrohttpd has begun passed that check. */
bool connection_header_checked(const struct client_connection *connection);

/*
 * Ends a connection on which libmicrohttpd can send nothing, because a request is still coming in:
 * writes a whole error reply to the socket, if it takes it, and closes. request_id may be NULL.
 */
void connection_cut(struct client_connection *connection, enum connection_end end, unsigned status,
                    const char *code, const char *message, const struct reply_field *field,
                    const char *request_id);

#endif
