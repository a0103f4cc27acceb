/*
 * scheduler: who sends next, for the whole gateway.
 *
 * One mutex guards the queue and what every account has under way, so that a free slot and a
 * waiting job are matched in one step. A slot belongs to a job from its first byte until it is
 * final: the vendor sells threads, and a queued job occupies one.
 *
 * No wake-up can be lost: whoever adds a job or gives back a slot calls scheduler_take()
 * afterwards on its own thread, until that has nothing more.
 *
 * Thread: any. The mutex is a leaf but for the mailboxes.
 */
#ifndef SOLVEGATE_ENGINE_SCHEDULER_H
#define SOLVEGATE_ENGINE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account;
struct job;
struct loop;
struct mail;
struct scheduler;

/* The accounts must outlive the scheduler. Returns 0 or -ENOMEM. */
int scheduler_new(struct account *accounts, size_t count, size_t max_jobs,
                  struct scheduler **ret_scheduler);

/* Drops the jobs that still wait. Takes NULL. */
void scheduler_free(struct scheduler *scheduler);

/* Tells whether a job would be taken now: 0, -ENOBUFS (queue full) or -ESHUTDOWN (draining). */
int scheduler_check(struct scheduler *scheduler);

/* Adds a job; takes a reference of its own when it succeeds. Returns as scheduler_check(). */
int scheduler_submit(struct scheduler *scheduler, struct job *job);

/*
 * Takes the next job that may be sent now, with the queue's reference, and a slot of the account
 * that is to send it: the first by priority with a free slot, the freest within one priority.
 * Returns NULL when no job waits, no slot is free, or the scheduler is draining.
 */
struct job *scheduler_take(struct scheduler *scheduler, struct account **ret_account);

/* Gives back the slot of a job that is final. */
void scheduler_release(struct scheduler *scheduler, struct account *account);

/* Takes a job whose deadline has passed while it waited, with its reference; or NULL. */
struct job *scheduler_take_overdue(struct scheduler *scheduler, int64_t now_ms);

/*
 * Takes no more jobs and sends none from now on; the caller empties the queue with
 * scheduler_take_waiting(). Posts idle to loop once no job waits or is under way. Call it once.
 */
void scheduler_drain(struct scheduler *scheduler, struct loop *loop, struct mail *idle);

/* Takes any job that waits, with its reference; or NULL. To empty the queue at the end. */
struct job *scheduler_take_waiting(struct scheduler *scheduler);

#endif
