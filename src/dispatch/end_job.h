/*
 * end_job: jobs that end apart from their purchase, and what the store has to know of them; a part
 * of the scheduler, as scheduler_private.h. The mutex is held by callers.
 *
 * A table in end_job.c has what follows from each reason (enum end_reason).
 *
 * What happens when the job that pays for a purchase ends:
 *
 * - The purchase waits: the next of its jobs pays whose client has something left. The store is
 *   told, so that after a crash the same one pays. If no client has anything left, the purchase is
 *   given up: joining was free for them, sending is not (end_pass_payment_on_locked()).
 * - Its flight has not sent it: the flight gives it back to the queue (scheduler_wants(),
 *   journal_sending()), where the same happens (entry_settle_returned_locked()).
 * - It was sent: the payer is fixed (purchase->payer), and its client pays all the same.
 * - All jobs of the purchase end, by their deadlines or at the stop: nobody pays, and what was
 *   reserved is given back.
 * - solvegate ended before another one was to pay: the next start finds one (gateway/recover).
 */
#ifndef SOLVEGATE_DISPATCH_END_JOB_H
#define SOLVEGATE_DISPATCH_END_JOB_H

#include "job/state.h"

#include <stdbool.h>
#include <stddef.h>

struct job;
struct loop;
struct outcome;
struct purchase;
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

/*
 * Ends an attached job. The last one takes a purchase along that waits; if the job was to pay for
 * one that goes on, another one is. The job is final when the store has its end.
 */
void end_job_locked(struct endings *endings, struct job *job, enum end_reason reason);

/* The payer has left a purchase that waits: finds another one, or gives it up. No effect without a
 * job, or if it was given up before. */
void end_pass_payment_on_locked(struct endings *endings, struct purchase *purchase);

/*
 * Ends all jobs of a purchase that waits: those for which there is room now, the others in the next
 * turns of the loop of entry_expire(). Nobody joins it, nor is it sent. What was reserved for it is
 * given back. No effect on one that was given up before.
 */
void end_all_jobs_locked(struct endings *endings, struct purchase *purchase,
                         enum end_reason reason);

/*
 * Makes the outcome of a job of a purchase that ends for this reason, but END_WITHDRAWN.
 * not_allowed: for END_NOT_ALLOWED, what entry_unwanted() says. Never NULL.
 */
struct outcome *end_outcome(const struct purchase *purchase, enum end_reason reason,
                            const char *not_allowed);

#endif
