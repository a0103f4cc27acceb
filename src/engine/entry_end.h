/*
 * entry_end: jobs that end by themselves, and what the store has to know of them; a part of the
 * scheduler, as scheduler_private.h. The mutex is held by callers.
 */
#ifndef SOLVEGATE_ENGINE_ENTRY_END_H
#define SOLVEGATE_ENGINE_ENTRY_END_H

#include "job/state.h"

#include <stdbool.h>

struct job;
struct loop;
struct purchase;
struct scheduler;
struct store_record;

/*
 * Jobs that end while the mutex is held once: one record for the store for ENDINGS_BATCH of them.
 * The first two fields are set by the caller; endings_write_locked() is called before the mutex is
 * released.
 */
struct endings {
        struct scheduler *scheduler;
        struct loop *loop;           /* where a job becomes final once the store has its end */
        struct store_record *record; /* NULL: nothing is to be written */
};

#define ENDINGS_BATCH 64

/* Gives the store what has ended. */
void endings_write_locked(struct endings *endings);

/* Ends an attached job. If it was to pay for a purchase that waits, another one is. */
void endings_end_locked(struct endings *endings, struct job *job, enum job_state state,
                        enum job_error error, const char *why);

/* The same, whoever pays then. */
void endings_end_one_locked(struct endings *endings, struct job *job, enum job_state state,
                            enum job_error error, const char *why);

/* The same two for a job that is not to be sent, or not again: it is cancelled, which means that it
 * was never sent, or unknown. */
void endings_end_unsent_locked(struct endings *endings, struct job *job, const char *why);
void endings_end_one_unsent_locked(struct endings *endings, struct job *job, const char *why);

/* Whether a job is to pay for its purchase, which waits. */
bool endings_pays_locked(const struct job *job);

/*
 * A job has left a purchase that waits, and was to pay. Another one is now; if the clients of all
 * the others have nothing left, they end too: joining was free for them, sending is not.
 */
void endings_pass_payment_on_locked(struct endings *endings, struct purchase *purchase);

#endif
