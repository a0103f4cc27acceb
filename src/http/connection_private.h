/*
 * connection_private: what the parts of connection.h and pause.c share; no other file but their
 * unit tests includes it.
 */
#ifndef SOLVEGATE_HTTP_CONNECTION_PRIVATE_H
#define SOLVEGATE_HTTP_CONNECTION_PRIVATE_H

#include "base/heap.h"
#include "http/connection.h"
#include "http/framing.h"
#include "http/server_private.h"
#include "http/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct closer;
struct loop_timer;
struct loop_watch;
struct peer;

#define CONNECTION_PHASES_WITH_LIMIT CONNECTION_BUSY

struct client_connection {
        struct connection_table *table;
        struct MHD_Connection *mhd;
        struct tls_identity *identity; /* the one it was opened under, a reference, which outlives
                                          its TLS; NULL: plain HTTP */
        struct peer *peer;             /* of the client's address; NULL: not counted */
        struct client *client;         /* of the last request's token; NULL: it had none */
        bool served;                   /* a request passed the checks of its header */
        int fd;                        /* libmicrohttpd's */
        struct framing framing;        /* of what was received */
        uint64_t carried;              /* so many requests libmicrohttpd has begun */
        uint64_t answered;             /* so many it has completed */
        struct loop_watch *watch;      /* tells when the client closes its side; or NULL */
        bool gone;                     /* it has */
        bool ended;                    /* its last response is sent: nothing more is read */
        bool lingers;                  /* its client may be sending when it is closed */
        enum connection_room room;
        bool seated;             /* it counts in server_shared.seats */
        bool claiming;           /* its request passed them, and wants room */
        bool turned_away;        /* it was ended as soon as it was opened */
        struct request *request; /* the one that is under way, or NULL */
        int64_t began_us;     /* monotonic: when its first line had come; before: the connection */
        struct request *held; /* the request whose hold ends when the client goes, or NULL */
        enum connection_phase phase;
        int64_t entered_ms;  /* when the phase began; CONNECTION_IDLE: the one before it */
        int64_t deadline_ms; /* valid unless CONNECTION_BUSY */
        struct heap_node by_deadline;
        struct client_connection *prev, *next;
        bool is_paused;      /* it is read in another turn, see pause.h */
        unsigned resumed_in; /* the turn that has resumed it; 0: it was to be read since */
        unsigned worked_in;  /* the turn in which it made work last */
        size_t work;         /* in that turn */
        struct client_connection *paused_prev, *paused_next; /* valid while it is paused */
        enum tls_progress progress;                          /* valid with an identity */
        bool handshaking; /* its TLS handshake was not over when it was last looked at */
        struct client_connection *handshake_prev, *handshake_next; /* valid with handshaking */
};

struct connection_table {
        struct server *server;
        const struct connection_events *events;
        void (*expire)(struct client_connection *connection); /* its deadline has passed */
        struct closer *closer;
        struct client_connection **by_fd; /* by_fd_count of them */
        size_t by_fd_count;
        struct loop_timer *timer;
        bool ticking;
        int64_t ticked_ms; /* valid with ticking: when deadlines were looked at, or it began */
        struct heap by_deadline; /* of all connections in a phase */
        struct client_connection
                *awaited[CONNECTION_PHASES_WITH_LIMIT]; /* by phase; the oldest in it at the head */
        struct client_connection *handshakes;           /* the oldest at the head */
};

/* ---- connection_deadline.c ---- */

/* Makes the timer that calls table->expire for connections at their deadlines. Returns 0 or
 * -errno. */
int connection_deadlines_init(struct connection_table *table);

/* The connection has no deadline any more. */
void connection_leave_phase(struct client_connection *connection);

/* The same phase, but what was sent was read: it is CONNECTION_IDLE, since then. */
void connection_become_idle(struct client_connection *connection);

/* Sends nothing. What the client has not read yet is dropped, so that the kernel keeps nothing. */
void connection_abort(struct client_connection *connection);

/* The same for one without a request in progress, whose last response may still be read. */
void connection_close_idle(struct client_connection *connection);

/* ---- connection_room.c ---- */

/*
 * Looks for a seat for a new connection, or for one that claims it, and sets room. If all are
 * taken, another connection of this server makes room: one that is slow, or one of a holder that
 * has more connections. Of these, idle ones go first, then headers and bodies that are coming, then
 * a request that is held for its answer, which is answered early, and last a response that is being
 * sent. A holder is a client that is known by its token, or an address without its known clients.
 * Before the connection claims, its token is not known, and whole addresses are compared. A claim
 * also ends connections on which every request was refused, and these first. Once more than half
 * of the seats are taken, an address beyond its share gets a seat of its own connections only.
 * Among equal ones it takes one of the holder with the most. Looks only at the oldest ones.
 */
void connection_find_room(struct client_connection *connection);

/*
 * Returns whether a new connection may keep its descriptor, as one beyond a limit at least. Another
 * one that is beyond a limit and has sent nothing may be ended for it: the oldest of the same
 * address, or of one with more connections.
 */
bool connection_has_file(const struct client_connection *connection);

/* Sets whose connection it is, for the numbers of connections; NULL: of no known client. */
void connection_set_client(struct client_connection *connection, struct client *client);

/* Gives its seat back. */
void connection_leave_room(struct client_connection *connection);

/* Ends a connection to make room, and tells it so where it waits for a response. */
void connection_evict(struct client_connection *victim);

#endif
