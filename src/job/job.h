/*
 * job: what one client asked for, from its acceptance to its end.
 *
 * A job is part of a purchase, which it shares with identical jobs, and moves along with it; or it
 * ends by itself: cancelled, or past its deadline. It is referenced by the results (until it
 * expires), by its purchase while attached, by requests that are held for it, and by records on
 * their way to the store.
 *
 * What job_new() sets is immutable. `state`, `outcome` and `waiters` are guarded by the results'
 * shard. Once the job is in the results, only results_move() and results_finish() change the state.
 */
#ifndef SOLVEGATE_JOB_JOB_H
#define SOLVEGATE_JOB_JOB_H

#include "base/hash_table.h"
#include "base/heap.h"
#include "job/state.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outcome;
struct purchase;
struct queue_flow;
struct retention_client;
struct retention_share;
struct waiter;

#define JOB_ID_CHARS      26  /* "h-" and 24 characters of 6 random bits */
#define JOB_KEY_BYTES_MAX 255 /* of an Idempotency-Key */
#define JOB_DIGEST_BYTES  32
#define JOB_ADDRESS_CHARS 46 /* of an address in numbers, with its NUL (INET6_ADDRSTRLEN) */

/* Where a job's result comes from. */
enum job_source {
        JOB_FROM_UPSTREAM,  /* it made its purchase */
        JOB_FROM_COLLAPSED, /* it joined one that was under way */
        JOB_FROM_CACHE,     /* an identical one had been solved */
};

/* `upstream`, `collapsed`, `cache`. */
const char *job_source_name(enum job_source source);

/* Whether the job is durable, so that its ID may be returned. */
enum job_kept {
        JOB_NOT_KEPT,
        JOB_BEING_KEPT, /* a record is on its way */
        JOB_KEPT,
        JOB_KEEP_FAILED, /* it could not be written; that may be tried again */
        JOB_WITHDRAWN,   /* removed before its ID was returned; it was never sent */
};

struct job {
        _Atomic unsigned references;

        /* immutable; but a restored job's monotonic times are corrected before it is in a table */
        char id[JOB_ID_CHARS + 1];
        char *client;                    /* whose it is, by name */
        char address[JOB_ADDRESS_CHARS]; /* from where it came; "" where that is not known */
        char *target_json;               /* the target as it came, a JSON string with its quotes */
        int64_t created_wall_ms;
        int64_t created_ms;  /* monotonic */
        int64_t deadline_ms; /* monotonic */
        char *key;           /* its Idempotency-Key, in memory right behind client's NUL; or NULL */
        unsigned char key_digest[JOB_DIGEST_BYTES]; /* valid with key: SHA-256 of the body */

        /* set once before anybody else sees the job */
        struct purchase *purchase; /* a reference, or NULL for one that ended by itself long ago */
        enum job_source source;
        struct queue_flow *flow; /* its client's; NULL as purchase */

        /* guarded by the scheduler's mutex */
        bool attached;                                 /* it is among its purchase's jobs */
        struct job *sibling_prev, *sibling_next;       /* valid while attached */
        struct job *unfinished_prev, *unfinished_next; /* valid while attached */
        struct heap_node by_deadline; /* in the heap while its deadline may end it */
        int64_t arrival;              /* in order of coming; < 0: before the start */
        struct heap_node by_arrival;  /* in its flow, while it waits there for its turn */
        unsigned char line;           /* valid there: which one of the flow's */
        bool cancelled;               /* its end is that it was cancelled */
        bool ended_alone;             /* it has an outcome of its own */
        enum job_kept kept;
        struct waiter *keep_waiters; /* who wait until it is kept */
        bool paid; /* its client was charged for it, or may have been; fixed once it is final */

        /* guarded by the results' shard */
        enum job_state state;
        struct outcome *outcome; /* a reference; valid when the state is final */
        struct waiter *waiters;
        int64_t finished_ms; /* valid when final; monotonic */
        bool listed;         /* it can be found by its id */
        UT_hash_handle by_id;

        /* guarded by the local arbiter's mutex */
        bool keyed; /* it can be found by client and key */
        UT_hash_handle by_key;
        bool cached; /* it answers for its identity */
        UT_hash_handle by_identity;

        /* guarded by the results' expiry mutex: see job/retention.h */
        struct retention_client *holder; /* valid in the results */
        struct retention_share *share; /* NULL: not final, or it has gone; else these are valid: */
        struct job *expiry_prev, *expiry_next;
        struct job *holder_prev, *holder_next;
        struct job *sharer_prev, *sharer_next;
        size_t own_bytes; /* what it takes, without what it shares */
};

/* What a job is made of. */
struct job_parts {
        const char *id;                  /* NULL: a fresh one */
        const char *client;              /* copied */
        const char *address;             /* copied; NULL: not known */
        const char *target_json;         /* copied */
        const char *key;                 /* copied; NULL: none */
        const unsigned char *key_digest; /* JOB_DIGEST_BYTES; valid with key */
        int64_t created_wall_ms;
        int64_t deadline_wall_ms;
        const int64_t *offset_ms; /* as job_clock_offset() returned it, for jobs of equal times to
                                     have equal monotonic ones; NULL: as it is now */
};

/*
 * Makes a queued job with one reference. The monotonic times are computed from those of the wall
 * clock. Returns 0 or -errno.
 */
int job_new(const struct job_parts *parts, struct job **ret_job);

/* Takes another reference. Thread: any who holds one. */
struct job *job_ref(struct job *job);

/* Drops one; the last frees the job. Takes NULL. Thread: any. */
void job_unref(struct job *job);

/* What is to be added to a time of the wall clock to make it a monotonic one. */
int64_t job_clock_offset(void);

/* The wall clock's time of a monotonic one, by what both say now, and the other way round. Requires
 * a time that clock_wall_clamp() does not change, or its monotonic one. */
int64_t job_wall_of(int64_t monotonic_ms);
int64_t job_monotonic_of(int64_t wall_ms);

#endif
