/*
 * entry_end: jobs that end by themselves, and what the store has to know of them; a part of the
 * scheduler, as scheduler_private.h. The mutex is held by callers.
 */
#ifndef SOLVEGATE_DISPATCH_ENTRY_END_H
#define SOLVEGATE_DISPATCH_ENTRY_END_H

#include "job/purchase.h"
#include "job/state.h"

#include <stdbool.h>
#include <stddef.h>

struct job;
struct loop;
struct scheduler;
struct store_record;

/*
 * Jobs that end while the mutex is held once: one record for the store for ENDINGS_BATCH of them.
 * The first two fields are set by the caller, the others are zero; endings_write_locked() is called
 * before the mutex is released.
 */
struct endings {
        struct scheduler *scheduler;
        struct loop *loop;           /* where a job becomes final once the store has its end */
        struct store_record *record; /* NULL: nothing is to be written */
        size_t count;                /* jobs that have ended */
};

#define ENDINGS_BATCH      64
#define ENDINGS_STORED_MAX 256 /* on their way to the store, but for those that clients cancel */

/* Gives the store what has ended. */
void endings_write_locked(struct endings *endings);

/* Whether one more job may end now that need not: few have while the mutex is held, and few are on
 * their way to the store. */
bool endings_have_room_locked(const struct endings *endings);

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
 * the others have nothing left, the purchase is given up: joining was free for them, sending is
 * not.
 */
void endings_pass_payment_on_locked(struct endings *endings, struct purchase *purchase);

/*
 * All jobs of a purchase that waits end: those for which there is room now, the others in the next
 * turns of the loop of entry_expire(). Nobody joins it, nor is it sent. What was reserved for it is
 * given back. No effect on one that was given up before.
 */
void endings_give_up_locked(struct endings *endings, struct purchase *purchase,
                            enum purchase_given_up why);

/* Ends a job of a purchase that was given up. */
void endings_end_given_up_locked(struct endings *endings, struct job *job,
                                 enum purchase_given_up why);

#endif
