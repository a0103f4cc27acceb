/*
 * outcome: how a job ended. Shared by all jobs of a purchase and by those that are answered from
 * the cache, and freed by the last reference. Immutable, but for how the results count its memory.
 *
 * Thread: any who holds a reference.
 */
#ifndef SOLVEGATE_JOB_OUTCOME_H
#define SOLVEGATE_JOB_OUTCOME_H

#include "job/state.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct job;

struct outcome {
        _Atomic unsigned references;
        enum job_state state; /* a final one */
        enum job_error error; /* JOB_ERROR_NONE when solved */
        char *text;           /* solved: the upstream's members without braces, id and url; else a
                                 message for the client; NULL where there was no memory for it */
        size_t len;
        bool spare; /* static: there was no memory for one */

        /* guarded by the results' expiry mutex */
        struct job
                *sharers; /* final jobs, by sharer_next; the first one's client bears the bytes */
        size_t shared_bytes; /* valid with sharers: what they share */
};

/*
 * Makes an outcome with one reference. Takes over members in any case. Without memory it gives one
 * that is JOB_UNKNOWN: the upstream has answered, and nobody can say what. Never NULL.
 */
struct outcome *outcome_solved(char *members, size_t len);

/* Makes one for a job that was not solved; message is copied. Never NULL: without memory it gives
 * one without a message. */
struct outcome *outcome_failed(enum job_state state, enum job_error error, const char *message);

struct outcome *outcome_ref(struct outcome *outcome);

/* Drops a reference. Takes NULL. */
void outcome_unref(struct outcome *outcome);

#endif
