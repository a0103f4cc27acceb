/*
 * job: one piece of work from its acceptance to its end.
 *
 *                        ┌──────────────▶ cancelled   never sent
 *      queued ──▶ sending ──▶ accepted ──▶ solved     the upstream's final answer
 *         │          │  │         └─────▶ failed      refused, or too late
 *         │          │  └───────────────▶ unknown     may have been taken and charged
 *         └──────────┴──▶ solved | failed
 *
 * A job is referenced by the results (until it expires), by whoever moves it on (the queue, then
 * a flight on a forwarding loop), and by requests that are held for it. What is set by job_new()
 * is immutable; `body` belongs to whoever moves the job on; `state`, `outcome` and `waiters` are
 * guarded by the results' shard, and only results_move() changes the state.
 */
#ifndef SOLVEGATE_JOB_JOB_H
#define SOLVEGATE_JOB_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct body;
struct waiter;

#define JOB_ID_CHARS 26 /* "h-" and 24 characters of 6 random bits */

enum job_state {
        JOB_QUEUED,    /* waits for its turn; nothing was sent */
        JOB_SENDING,   /* a byte of it may have reached the upstream */
        JOB_ACCEPTED,  /* the upstream has it queued under an id of its own */
        JOB_SOLVED,    /* final: outcome.members */
        JOB_FAILED,    /* final: outcome.error and message */
        JOB_CANCELLED, /* final, likewise: never sent */
        JOB_UNKNOWN,   /* final, likewise: may have been charged, and is not sent again */
};

/* Why a job has no solution (contract, section 3). */
enum job_error {
        JOB_ERROR_NONE,
        JOB_UPSTREAM_REJECTED,
        JOB_UPSTREAM_UNAVAILABLE,
        JOB_DEADLINE,
        JOB_CANCELLED_ERROR,
        JOB_OUTCOME_UNKNOWN,
};

/* How a job ended. Immutable once the job is final. */
struct job_outcome {
        char *members; /* solved: the upstream's object without braces, id and url */
        size_t members_len;
        enum job_error error;
        char *message; /* not solved: for the client */
};

struct job {
        _Atomic unsigned references;

        /* immutable */
        char id[JOB_ID_CHARS + 1];
        char *target_json; /* the target as it came, a JSON string with its quotes */
        char *host;        /* of its site */
        int64_t created_wall_s;
        int64_t created_ms;  /* monotonic */
        int64_t deadline_ms; /* monotonic */

        /* belongs to whoever moves the job on; NULL once it is not needed any more */
        struct body *body;
        struct job *queue_prev, *queue_next; /* valid while in the queue */

        /* guarded by the results' shard */
        enum job_state state;
        struct job_outcome outcome; /* valid when the state is final */
        struct waiter *waiters;
        int64_t expires_ms;   /* valid when final */
        size_t counted_bytes; /* valid when final: what it takes in the results */
        bool listed;          /* it can be found by its id */
        UT_hash_handle by_id;

        /* guarded by the results' expiry mutex; valid when final, until it expires */
        struct job *expiry_prev, *expiry_next;
};

/*
 * Makes a queued job with a fresh id and one reference. Takes over target_json, host and body
 * when it succeeds. Returns 0 or -errno.
 */
int job_new(char *target_json, char *host, struct body *body, int64_t deadline_after_ms,
            struct job **ret_job);

/* Takes another reference. Thread: any who holds one. */
struct job *job_ref(struct job *job);

/* Drops one; the last frees the job. Takes NULL. Thread: any. */
void job_unref(struct job *job);

/* Frees the bytes to be sent. Thread: whoever moves the job on. */
void job_drop_body(struct job *job);

bool job_state_final(enum job_state state);

/* Tells whether the drawing above has this arrow. */
bool job_state_may_become(enum job_state from, enum job_state to);

const char *job_state_name(enum job_state state);

/* The code of the contract. */
const char *job_error_code(enum job_error error);

/* Frees what an outcome holds. */
void job_outcome_done(struct job_outcome *outcome);

#endif
