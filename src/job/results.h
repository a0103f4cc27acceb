/*
 * results: every job that can be asked for, by id; and the one mover of their states.
 *
 * Sharded by id, each shard under its own mutex; the list of final jobs has another. Each is a
 * leaf but for the mailboxes: nothing else is locked while it is held. Final jobs stay for a time
 * and under a memory ceiling, the oldest leaving first; jobs that are not final stay whatever
 * happens (their number has ceilings of its own: limits.queue_jobs and max_in_flight).
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_JOB_RESULTS_H
#define SOLVEGATE_JOB_RESULTS_H

#include "job/job.h"
#include "job/waiter.h"

struct results;

/* Final jobs are kept for ttl_ms, in at most max_bytes. Returns 0 or -ENOMEM. */
int results_new(int64_t ttl_ms, int64_t max_bytes, struct results **ret_results);

/* Drops every job. Requires that no other thread uses the results any more. Takes NULL. */
void results_free(struct results *results);

/* Makes a job findable; takes a reference of its own. Returns 0 or -ENOMEM. */
int results_add(struct results *results, struct job *job);

/* Forgets a job that was added and never got past queued, and that nobody waits for. */
void results_remove(struct results *results, struct job *job);

/* Finds a job. Returns it with a reference for the caller, or NULL when unknown or expired. */
struct job *results_find(struct results *results, const char *id);

/*
 * The one transition function. Requires job_state_may_become(). Takes over what outcome holds
 * (NULL when the new state is not final), wakes those who waited for it.
 */
void results_move(struct results *results, struct job *job, enum job_state to,
                  struct job_outcome *outcome);

/* The state now. When it is final, job->outcome may be read without a lock from then on. */
enum job_state results_state(struct results *results, struct job *job);

/*
 * Arms a waiter. Returns true when it is armed, or false when the job has come so far already and
 * no mail will be sent. The caller holds a reference to the job while the waiter is armed.
 */
bool results_wait(struct results *results, struct job *job, struct waiter *waiter);

/* Disarms a waiter. Returns false when its mail is on the way. */
bool results_unwait(struct results *results, struct job *job, struct waiter *waiter);

/* Drops what has expired by now_ms (monotonic). */
void results_sweep(struct results *results, int64_t now_ms);

#endif
