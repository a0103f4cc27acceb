/*
 * connection_private: what connection.c and connection_deadline.c share; no other file includes it.
 */
#ifndef SOLVEGATE_HTTP_CONNECTION_PRIVATE_H
#define SOLVEGATE_HTTP_CONNECTION_PRIVATE_H

#include "http/framing.h"
#include "http/server_private.h"
#include "http/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
        int fd;                        /* libmicrohttpd's */
        struct framing framing;        /* of what was received */
        uint64_t carried;              /* so many requests libmicrohttpd has begun */
        uint64_t answered;             /* so many it has completed */
        struct loop_watch *watch;      /* tells when the client closes its side; or NULL */
        bool gone;                     /* it has */
        bool ended;                    /* its last response is sent: nothing more is read */
        bool lingers;                  /* its client may be sending when it is closed */
        enum connection_room room;
        bool turned_away;        /* it was ended as soon as it was opened */
        struct request *request; /* the one that is under way, or NULL */
        int64_t began_us;     /* monotonic: when its first line had come; before: the connection */
        struct request *held; /* the request whose hold ends when the client goes, or NULL */
        enum connection_phase phase;
        int64_t entered_ms;  /* when the phase began; CONNECTION_IDLE: the one before it */
        int64_t deadline_ms; /* valid unless CONNECTION_BUSY */
        struct client_connection *prev, *next;
        enum tls_progress progress; /* valid with an identity */
        bool handshaking;           /* its TLS handshake was not over when it was last looked at */
        struct client_connection *handshake_prev, *handshake_next; /* valid with handshaking */
};

struct connection_table {
        struct server *server;
        struct closer *closer;
        struct client_connection **by_fd; /* by_fd_count of them */
        size_t by_fd_count;
        struct loop_timer *timer;
        bool ticking;
        int64_t ticked_ms; /* valid with ticking: when the lists were looked at, or it began */
        struct client_connection
                *awaited[CONNECTION_PHASES_WITH_LIMIT]; /* by phase; the first due at the head */
        struct client_connection *handshakes;           /* the oldest at the head */
};

/* ---- connection_deadline.c ---- */

/* The table's timer looks at the heads of its lists. Returns 0 or -errno. */
int connection_deadlines_init(struct connection_table *table);

/* The connection has no deadline any more. */
void connection_leave_phase(struct client_connection *connection);

/*
 * Makes room for a new connection, which is counted already. With of_peer it cuts one of the same
 * address that is slow or idle. Else it takes one that is slow or idle, or of an address that has
 * more connections: then a request that is held for its answer is answered early. Among those it
 * takes one of the address with the most. Looks only at the oldest ones of this server. Returns
 * whether there was one; it is closed soon.
 */
bool connection_evict(const struct client_connection *newcomer, bool of_peer);

#endif
