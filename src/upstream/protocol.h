/*
 * protocol: what the upstream's HTTP API says, in both generations.
 *
 * Pure functions, so any thread may call them. An answer is judged by its JSON first and by the
 * HTTP status code only where the JSON leaves it open, since no document names the codes.
 */
#ifndef SOLVEGATE_UPSTREAM_PROTOCOL_H
#define SOLVEGATE_UPSTREAM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credential;
struct strbuf;

#define UPSTREAM_ID_BYTES_MAX      256
#define UPSTREAM_MESSAGE_BYTES_MAX 512
#define UPSTREAM_ANSWER_BYTES_MAX  (1024 * 1024) /* answers are well below 10 KB */
#define UPSTREAM_URL_BYTES_MAX     2048

enum upstream_endpoint {
        UPSTREAM_SOLVE,
        UPSTREAM_STATUS,
        UPSTREAM_BALANCE,
};

/* What an exchange came to. */
enum answer_kind {
        ANSWER_FINAL,     /* solved or skipped (solve, status), or a balance: members */
        ANSWER_PENDING,   /* queued or in work; after a solve with upstream_id */
        ANSWER_REJECTED,  /* a clear no, which is final: message */
        ANSWER_TRY_LATER, /* a clear "not now": the request was not taken: message */
        ANSWER_NOT_SENT,  /* the upstream surely has not got the request: message */
        ANSWER_UNCLEAR,   /* anything else: it may have been taken, and charged: message */
};

struct answer {
        enum answer_kind kind;
        char *members; /* FINAL: the object's members without braces, id and url; owned */
        size_t members_len;
        char upstream_id[UPSTREAM_ID_BYTES_MAX + 1];  /* as it came; it may hold anything, even the
                                                         key, so it is never shown or logged */
        char message[UPSTREAM_MESSAGE_BYTES_MAX + 1]; /* for the client */
        char detail[UPSTREAM_MESSAGE_BYTES_MAX + 1];  /* more, for the log; or "" */
        int64_t retry_after_ms;                       /* what the upstream asks to wait, or 0 */
        bool local;     /* NOT_SENT: for want of a file descriptor or memory of this system; it says
                           nothing about the upstream */
        bool timed_out; /* NOT_SENT and UNCLEAR: the question's timeout_ms passed */
        bool skipped;   /* FINAL: without a solution */
        bool stray;     /* data that belonged to no request came on a connection, and was ignored */
        bool about_account; /* the key, the balance or the plan is refused, not the job; or: */
        bool loops;   /* with about_account: the request came back to this process, by http/guard */
        bool foreign; /* UPSTREAM_STATUS: it names another job, so it is the response to
                         another request, and its connection is not to be used again. UNCLEAR */
        bool warn;    /* detail says what is wrong with the response itself: log it as a warning,
                         also where the job goes on */
};

/*
 * Appends the address of an endpoint. base is scheme, host and port; id is needed for
 * UPSTREAM_STATUS only and is percent-encoded (RFC 3986, section 2.1).
 */
int protocol_url(const char *base, int api, enum upstream_endpoint endpoint, const char *id,
                 struct strbuf *ret_url);

/* Whether this generation has a uid header beside apikey. */
int protocol_sends_uid(int api);

/* What a response has to suit. */
struct protocol_request {
        enum upstream_endpoint endpoint;
        const char *upstream_id; /* UPSTREAM_STATUS: the job that was asked for; else NULL */
        const struct credential *credential;
        const struct credential *other; /* another one that may be quoted, or NULL */
        int64_t wall_ms;                /* now, by the wall clock */
};

/*
 * Judges an HTTP response. The rules are in docs/retries.md. What it gives out holds the keys of
 * both credentials nowhere (credential.h says in which forms they are found), except upstream_id.
 * Fills *ret_answer, which the caller frees with answer_done(). Gives kind FINAL, PENDING,
 * REJECTED, TRY_LATER or UNCLEAR.
 */
void protocol_read(const struct protocol_request *request, long http_code, const char *text,
                   size_t len, struct answer *ret_answer);

/* Frees what an answer holds. */
void answer_done(struct answer *answer);

#endif
