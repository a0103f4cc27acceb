/*
 * retention: which final jobs stay in memory, and which go first.
 *
 * A final job goes when its time is over. Before that it goes only when all together take more than
 * max_bytes: then from the client that holds the most, its oldest first, so that no client takes
 * memory from one that holds less. Jobs that were charged, or may have been, have all but
 * 1 / RETENTION_FREE_PART of max_bytes to themselves: a repeat of such a job, once it has gone,
 * would buy it again.
 *
 * Memory is counted as the allocator gives it. An outcome that several jobs share counts once, for
 * the job that has had it longest.
 *
 * A struct retention is a value. Not locked: the results' expiry mutex guards it, and what its
 * functions change in jobs and outcomes.
 */
#ifndef SOLVEGATE_JOB_RETENTION_H
#define SOLVEGATE_JOB_RETENTION_H

#include "base/heap.h"
#include "job/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Jobs that cost nothing may always have this part of max_bytes, so that they can be asked for. */
#define RETENTION_FREE_PART 8

enum retention_class {
        RETENTION_FREE,
        RETENTION_PAID,
        RETENTION_CLASSES,
};

struct retention_client;

/* The final jobs of one client and class. */
struct retention_share {
        struct heap_node node; /* in the heap of its class, with bytes */
        struct retention_client *client;
        struct job *jobs; /* by holder_next, the oldest first */
        int64_t bytes;
};

/* The shares of a class, the largest at the root. */
struct retention_heap {
        struct heap shares;
        int64_t bytes; /* of all of them */
};

struct retention {
        int64_t max_bytes;
        struct retention_client *clients;
        struct retention_heap heaps[RETENTION_CLASSES];
        struct job *expiry; /* by expiry_next, the first to expire at the head */
};

void retention_init(struct retention *retention, int64_t max_bytes);

/* Frees. Requires that every job has left. */
void retention_done(struct retention *retention);

/* A job comes that is not final. What it takes to count it later is made here, so that nothing can
 * fail then. Returns 0 or -ENOMEM. */
int retention_join(struct retention *retention, struct job *job);

/* It leaves before it is final. */
void retention_leave(struct retention *retention, struct job *job);

/* It is final: job->paid, finished_ms and outcome are set. */
void retention_add(struct retention *retention, struct job *job);

/* A final job leaves. */
void retention_remove(struct retention *retention, struct job *job);

/* Whether a final job was added as paid. */
bool retention_is_paid(const struct job *job);

/* The bytes of all final jobs. */
int64_t retention_bytes(const struct retention *retention);

/* The final job that goes next, if one has to go now: those that finished by over_ms have expired.
 * NULL: none. */
struct job *retention_next(const struct retention *retention, int64_t over_ms);

#endif
