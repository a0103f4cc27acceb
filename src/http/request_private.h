/*
 * request_private: a request, as the files of src/http see it.
 *
 * A request goes through its phases in order. libmicrohttpd calls the server once when the header
 * is read (HEADERS), for each piece of the body (BODY), and once more when all is there (READY).
 * A held request is a suspended connection (SUSPENDED) that becomes READY again by its waiter's
 * mail or its timer. DONE: a reply was queued.
 */
#ifndef SOLVEGATE_HTTP_REQUEST_PRIVATE_H
#define SOLVEGATE_HTTP_REQUEST_PRIVATE_H

#include "access/sites.h"
#include "access/token.h"
#include "http/request_record.h"
#include "http/server_private.h"
#include "job/job.h"
#include "job/waiter.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct balance;
struct body;
struct client;
struct client_connection;
struct loop_timer;
struct parse;
struct request;
struct route;
struct submission;

#define REFUSAL_BYTES_MAX    1024
#define PREFERENCE_BYTES_MAX 64

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
        const char *code;      /* of docs/api.md */
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
        HOLD_FOR_STORE,     /* the job is stored, so that its ID may be returned */
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

/* A field of the header, or NULL. Names are matched without regard to case. */
static inline const char *request_field(const struct request *request, const char *name)
{
        return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

#endif
