/*
 * entry_restore: what the store had kept comes back at the start, see entry.h.
 */
#include "dispatch/entry.h"

#include "base/clock.h"
#include "config/config.h"
#include "dispatch/arbiter.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"

#include <errno.h>
#include <utlist.h>

/* What was paid for before a stop is asked for a while after it, even if it is late by then. */
#define ACCEPTED_GRACE_MS 30000

/* What waited before the start came before everything that comes after it. */
#define ARRIVED_BEFORE (INT64_C(1) << 62)

/*
 * Times by the clock of the wall, which may have been set back since: no job comes from the future,
 * no deadline is later than those of new jobs; and what was paid for is asked for a while, however
 * late it is.
 */
static void mend_times(const struct scheduler *scheduler, const struct purchase *purchase,
                       struct job *job)
{
        int64_t now_ms = clock_monotonic_ms();
        int64_t latest_ms = now_ms + scheduler->config->limits.job_deadline_ms;

        if (job->created_ms > now_ms)
                job->created_ms = now_ms;
        if (job->deadline_ms > latest_ms)
                job->deadline_ms = latest_ms;
        if (purchase->state == JOB_ACCEPTED && job->deadline_ms < now_ms + ACCEPTED_GRACE_MS)
                job->deadline_ms = now_ms + ACCEPTED_GRACE_MS;
}

/* Whatever the disk says: from there the job may become what its purchase is. */
static enum job_state state_before(enum job_state state)
{
        if (!job_state_final(state))
                return state;
        return state == JOB_CANCELLED ? JOB_QUEUED : JOB_SENDING;
}

/* Of two jobs with the same key the later one has it: the row of the other one was to be deleted. A
 * key that is taken for another reason does not keep the job from being found by its id. */
static int restore_key(struct scheduler *scheduler, struct job *job)
{
        struct arbiter *arbiter = scheduler->setup.arbiter;
        struct job *other = NULL;
        int r = arbiter_claim_key_locked(arbiter, job, &other);

        if (r != -EEXIST)
                return r;
        if (job_state_final(results_state(scheduler->setup.results, other)) &&
            other->created_wall_ms <= job->created_wall_ms)
                arbiter_release_key_locked(arbiter, other);
        else
                job->key = NULL;
        job_unref(other);
        return arbiter_claim_key_locked(arbiter, job, &other);
}

static int add_restored(struct scheduler *scheduler, struct job *job)
{
        int r = results_add(scheduler->setup.results, job);

        return r == 0 ? restore_key(scheduler, job) : r;
}

/* The store attached them in a list only. */
static int adopt_jobs(struct scheduler *scheduler, struct purchase *purchase)
{
        struct job *job, *next, *jobs = purchase->jobs;
        int r = 0;

        purchase->jobs = NULL;
        purchase->deadline_ms = 0;
        DL_FOREACH_SAFE2 (jobs, job, next, sibling_next) {
                job->attached = false;
                job->kept = JOB_KEPT;
                job->state = state_before(purchase->state);
                job->arrival = purchase->number - ARRIVED_BEFORE;
                mend_times(scheduler, purchase, job);
                int added = add_restored(scheduler, job);
                if (added == 0)
                        entry_attach_locked(scheduler, purchase, job);
                else
                        r = added;
                job_unref(job);
        }
        return r;
}

/* By the clock of the wall, which may have been set since; not later than now. */
static int64_t finished_ms(int64_t wall_ms)
{
        int64_t then_ms = job_monotonic_of(wall_ms), now_ms = clock_monotonic_ms();

        return then_ms < now_ms ? then_ms : now_ms;
}

/* It can be joined. */
static void list_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        arbiter_open_locked(scheduler->setup.arbiter, purchase);
        purchase->joinable = true;
}

int entry_restore(struct scheduler *scheduler, struct purchase *purchase, struct outcome *outcome,
                  int64_t finished_wall_ms)
{
        enum job_state state = purchase->state;

        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = adopt_jobs(scheduler, purchase);
        if (r < 0 || !purchase->jobs) {
                payment_release_locked(scheduler->setup.arbiter, purchase);
                payment_fix_locked(purchase, NULL);
                purchase_unref(purchase);
        } else if (outcome) {
                entry_finish_locked(scheduler, purchase, outcome, finished_ms(finished_wall_ms));
                purchase_unref(purchase);
        } else if (state == JOB_ACCEPTED) {
                purchase->charged = true;
                payment_mark_paid_locked(purchase);
                entry_place_locked(scheduler, purchase, PURCHASE_FLIES);
                DL_APPEND2(scheduler->accepted, purchase, queue_prev, queue_next);
                list_locked(scheduler, purchase);
        } else {
                payment_restore_locked(purchase);
                queue_add(&scheduler->queue, purchase);
                list_locked(scheduler, purchase);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        outcome_unref(outcome);
        return r;
}

int entry_restore_ended(struct scheduler *scheduler, struct job *job, struct outcome *outcome,
                        int64_t finished_wall_ms)
{
        int r = add_restored(scheduler, job);

        job->kept = JOB_KEPT;
        job->ended_alone = true;
        /* An answer from the cache is free, and so is what was never sent. */
        job->paid = outcome->state != JOB_SOLVED && outcome->state != JOB_CANCELLED;
        job->state = state_before(outcome->state);
        if (r == 0)
                results_finish(scheduler->setup.results, job, outcome,
                               finished_ms(finished_wall_ms));
        job_unref(job);
        outcome_unref(outcome);
        return r;
}
