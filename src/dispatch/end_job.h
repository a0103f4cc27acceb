/*
 * end_job: jobs that end apart from their purchase, and their records for the store; a part of the
 * scheduler, as scheduler_private.h. Callers hold the mutex.
 *
 * A table in end_job.c says what follows from each reason (enum end_reason).
 *
 * What happens when the job that pays for a purchase ends before the purchase does:
 *
 * - The purchase waits: another of its jobs pays, one of the same client, else the first one with a
 *   client that is within its limits. A record keeps this over a crash. If no client is, all jobs
 *   of the purchase end: to join was free, to send is not (end_pass_payment_on_locked()).
 * - The purchase has a flight, but was not sent: the flight returns it to the queue
 *   (scheduler_wants(), journal_sending()), where the same happens
 *   (entry_settle_returned_locked()).
 * - The purchase was sent: the payer is fixed (purchase->payer), and its client is charged.
 * - The deadlines of all jobs have passed, or solvegate is being stopped: no job pays, and what
 *   was reserved is released with the last job.
 * - solvegate ended before it chose another payer: the next start does (gateway/recover).
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

/* Gives the store what has ended. */
void endings_write_locked(struct endings *endings);

/* Returns whether one more job may end while the mutex is held: neither ENDINGS_BATCH nor
 * ENDINGS_STORED_MAX is reached. A job that must end does not ask. */
bool endings_have_room_locked(const struct endings *endings);

/*
 * Ends an attached job, which is final when the store has its end. If it is the last one of a
 * purchase that waits, the purchase is dropped; if it was to pay for it, another job does.
 */
void end_job_locked(struct endings *endings, struct job *job, enum end_reason reason);

/* The payer of a purchase that waits has ended: chooses another job to pay, or ends all of them. No
 * effect if there is no job, or if all are ending already. */
void end_pass_payment_on_locked(struct endings *endings, struct purchase *purchase);

/*
 * Ends all jobs of a purchase that waits (it is given up): those for which there is room now, the
 * others in the next turns of the loop of entry_expire(). No job joins it any more, and it is not
 * sent; what was reserved for it is released. No effect if all are ending already.
 */
void end_all_jobs_locked(struct endings *endings, struct purchase *purchase,
                         enum end_reason reason);

/*
 * Makes the outcome of a job that ends for this reason, which is not END_WITHDRAWN. not_allowed is
 * what entry_unwanted() says, valid with END_NOT_ALLOWED. Never NULL.
 */
struct outcome *end_outcome(const struct purchase *purchase, enum end_reason reason,
                            const char *not_allowed);

#endif
