/*
 * server_private: what the files of src/http share; nobody else includes it.
 *
 * A request goes through its phases in order. libmicrohttpd calls the server once when the header
 * is read (HEADERS), for each piece of the body (BODY), and once more when all is there (READY).
 * A held request is a suspended connection (SUSPENDED) that becomes READY again by its waiter's
 * mail or its timer. DONE: a reply was queued.
 */
#ifndef SOLVEGATE_HTTP_SERVER_PRIVATE_H
#define SOLVEGATE_HTTP_SERVER_PRIVATE_H

#include "access/sites.h"
#include "access/token.h"
#include "http/request_record.h"
#include "http/server_shared.h"
#include "job/job.h"
#include "job/waiter.h"

#include <microhttpd.h>

struct acceptor;
struct balance;
struct body;
struct client;
struct client_connection;
struct framing_fault;
struct loop_timer;
struct parse;
struct request;
struct route;
struct tally;
struct tally_part;

#define REFUSAL_BYTES_MAX    1024
#define PREFERENCE_BYTES_MAX 64
#define STORE_HOLD_MS        30000 /* a store that takes longer is as good as none */

struct server {
        enum server_kind kind;
        struct gateway *gateway;
        struct forwarder *forwarder;
        struct loop *loop;
        struct server_shared *shared;
        struct tally *tally;
        struct tally_part *tally_part; /* its own */
        const struct listener *listener;
        struct policy *policy;              /* a reference */
        unsigned reloads;                   /* how often the policy was replaced */
        struct tls_identity *identity;      /* a reference, or NULL: plain HTTP */
        const struct operator_hooks *hooks; /* NULL for tools */
        struct MHD_Daemon *daemon;
        struct acceptor *acceptor; /* NULL: no connection is accepted any more */
        struct server_turn *turn;  /* the handles that drive the daemon */
        struct connection_table *connections;
        size_t requests;
        struct request *held;                  /* requests whose connection is suspended */
        struct client_connection *paused;      /* the first in line, see pause.h */
        struct client_connection *passed_over; /* the first of those that were resumed in vain */
        unsigned turns;                        /* of libmicrohttpd, since the start */
        size_t turn_work;                      /* in this turn */
        size_t resumed_left;   /* connections that this turn has resumed, and not come to yet */
        size_t resumed_read;   /* those that it has read */
        int64_t handshake_us;  /* of TLS handshakes, in this turn */
        bool handshakes_wait;  /* one has to go on in a later turn */
        bool ending;           /* the last turn has come: nothing is paused */
        bool draining;         /* each answer is its connection's last */
        bool finishing;        /* no request is held for an answer any more */
        bool closed;           /* every request is refused */
        unsigned inactivity_s; /* libmicrohttpd's own time-out; the deadlines come first */
        unsigned inactivity_first_s; /* the one its daemon was started with */
        int64_t warn_again_ms;       /* no warning about accept(2) before this moment */
        size_t parsed_bytes;         /* of bodies, on the loop in this turn */
        bool again;                  /* MHD_run() is needed, though its descriptor may not say so */
};

enum request_phase {
        REQUEST_HEADERS,
        REQUEST_BODY,
        REQUEST_READY,
        REQUEST_SUSPENDED,
        REQUEST_DONE,
};

/* An error that was found before the body was read: it is answered when the body is over. */
struct refusal {
        unsigned status;       /* of HTTP; 0: none */
        const char *code;      /* of the contract */
        const char *challenge; /* of 401: the WWW-Authenticate field */
        int64_t retry_after_s; /* 0: nothing better is known than soon */
        bool closes;           /* the connection ends with it */
        char message[REFUSAL_BYTES_MAX];
};

/* What a request is held for, in this order. */
enum hold_for {
        HOLD_FOR_PENALTY,   /* a wrong token is answered late */
        HOLD_FOR_PARSE,     /* the body is parsed off the loop */
        HOLD_FOR_ADMISSION, /* whether the job may come in is decided */
        HOLD_FOR_ANSWER,    /* the job, or the balance, has come so far */
        HOLD_FOR_STORE,     /* the job is stored, so that its id may leave */
        HOLD_FOR_RELOAD,    /* the configuration is in force, or was refused */
};

struct request {
        struct server *server;
        struct MHD_Connection *mhd;
        struct client_connection *connection;
        const struct route *route; /* NULL: not found */
        bool cancels;              /* the method is DELETE */
        enum request_phase phase;
        struct refusal refusal;
        struct body *body;       /* of a POST; the parse's once it is whole */
        int64_t discarded_bytes; /* of the body of a refused request */
        const char *host;        /* the Host field, or authority; valid as long as the request */
        char *authority;         /* of a target in absolute-form; or NULL */
        const char *origin;      /* the Origin field, if it is a listed one, or NULL; likewise */
        bool preflight;          /* the method is OPTIONS, and a browser asks (CORS) */
        char address[JOB_ADDRESS_CHARS]; /* of the client, in numbers */
        struct request_record record;    /* for the log */

        /* who is calling, from when the header was checked */
        struct client *client;     /* NULL: not asked, not known, or nobody needs to be */
        struct client *revoked;    /* who it was, where its token was taken away or has expired */
        bool has_token;            /* it is known by a token that it showed */
        struct token_digest token; /* valid with has_token */
        unsigned reloads;          /* the server's, when that was found out */
        int64_t penalty_ms;        /* how long the answer to its wrong token is to be held; above 0
                                      it counts in the throttle */
        char site[SITE_HOST_BYTES_MAX]; /* of its job, for the audit; "" if not known */

        /* while held, and when it goes on after that */
        struct parse *parse;        /* of its body, off the loop; or NULL */
        struct submission *pending; /* its job, before that is decided about; or NULL */
        struct job *job;            /* a reference */
        struct balance *balance;    /* whose answer it waits for; valid while it does */
        struct waiter waiter;
        enum hold_for held_for;                  /* valid while held */
        struct request *held_prev, *held_next;   /* valid while held */
        bool (*disarm)(struct request *request); /* valid while held */
        struct loop_timer *hold_timer;           /* valid while held */
        unsigned waited; /* a bit for each enum hold_for it was held for: it is
                            not held for that again */
        char preference_applied[PREFERENCE_BYTES_MAX]; /* "": none */
        int64_t reload_number; /* of the reload that it has asked for; 0: none */
};

/* How a connection ends that is cut. */
enum connection_end {
        CONNECTION_SHUT,   /* at once, from outside libmicrohttpd */
        CONNECTION_LINGER, /* libmicrohttpd closes it as soon as it has control again; what the
                              client is still sending is read for a while, see closer.h */
};

/* ---- request.c: the life of a request ---- */

/*
 * Suspends the connection until the waiter's mail comes, hold_ms have passed, or the client has
 * closed its side (libmicrohttpd does not look at a suspended connection); then the route's handler
 * is called again, with request->waited set. arm() arms request->waiter, or returns false when
 * there is nothing to wait for; disarm() takes it back and returns false when the mail is on the
 * way. Returns whether the request is held.
 */
struct hold {
        enum hold_for what; /* for an answer it is held only as long as the client's side is open */
        enum waiter_level level;
        int64_t hold_ms;
        bool (*arm)(struct request *request);
        bool (*disarm)(struct request *request);
};
bool request_hold(struct request *request, const struct hold *hold);

/* Ends all holds but those for an admission or the store: they are answered with what there is. */
void request_end_holds(struct server *server);

/*
 * The server's policy was replaced: whose token is no client's any more is refused, now where it is
 * held, else when it is answered. To be called after each replacement.
 */
void request_revoke_all(struct server *server);

/* Handlers of libmicrohttpd's events. */
enum MHD_Result request_on_access(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **request_arg);
void request_on_completed(void *arg, struct MHD_Connection *mhd, void **request_arg,
                          enum MHD_RequestTerminationCode code);

/* The client of a held request has closed its side: it is answered with what there is. */
void request_client_gone(struct request *request);

/*
 * What is awaited has not come in time: answers so past libmicrohttpd, and ends the connection. The
 * second is for one whose header is not there yet. limit_ms is how long it had.
 */
void request_body_late(struct request *request, int64_t limit_ms);
void request_header_late(struct server *server, struct MHD_Connection *mhd,
                         struct client_connection *connection, int64_t limit_ms);

/*
 * Answers past libmicrohttpd likewise, and ends the connection: a request whose body is still
 * coming; the same, because what came is malformed; and one whose header is not complete.
 */
void request_cut(struct request *request, enum connection_end end, unsigned status,
                 const char *code, const char *message);
void request_malformed(struct request *request, const struct framing_fault *fault);
void request_header_refuse(struct server *server, struct MHD_Connection *mhd,
                           struct client_connection *connection, enum connection_end end,
                           unsigned status, const char *code, const char *message);

/* Marks the request as refused; the first refusal stands. */
void request_refuse(struct request *request, unsigned status, const char *code, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* A field of the header, or NULL. Names are matched without regard to case. */
const char *request_field(const struct request *request, const char *name);

/* ---- connection.c and its parts: connections, their deadlines, and which have room ---- */

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

int connection_table_new(struct server *server, struct connection_table **ret_table);
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
 * While a request is held, its connection calls request_client_gone() when the client closes its
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

/* A header field that an error has besides; the name is NULL when there is none. */
struct reply_field {
        const char *name;
        const char *value;
};

/*
 * Ends a connection on which libmicrohttpd can send nothing, because a request is still coming in:
 * writes a whole error reply to the socket, if it takes it, and closes. request_id may be NULL.
 */
void connection_cut(struct client_connection *connection, enum connection_end end, unsigned status,
                    const char *code, const char *message, struct reply_field field,
                    const char *request_id);

#endif
