/*
 * entry_cancel: jobs that are cancelled by their owner, by an operator or at the stop, or withdrawn
 * because they cannot be stored; see entry.h.
 */
#include "dispatch/entry.h"

#include "dispatch/end_job.h"
#include "dispatch/entry_walk.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"
#include "job/results.h"
#include "store/store.h"

#define CANCEL_BATCH 64 /* jobs that are looked at while the mutex is held */

enum entry_cancel entry_cancel(struct scheduler *scheduler, struct loop *loop, struct job *job,
                               enum end_reason by)
{
        enum entry_cancel result = ENTRY_SENT;
        struct endings endings = {.scheduler = scheduler, .loop = loop};

        (void)pthread_mutex_lock(&scheduler->mutex);
        if (job->attached && job->purchase->place == PURCHASE_WAITS && !job->purchase->doubtful) {
                end_job_locked(&endings, job, by);
                endings_write_locked(&endings);
                result = ENTRY_CANCELLED;
        } else if (job->cancelled ||
                   results_state(scheduler->setup.results, job) == JOB_CANCELLED) {
                result = ENTRY_CANCELLED; /* it was, or will be as soon as that is stored */
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return result;
}

/* Nothing of it has been sent, nor is going to be without somebody looking once more: a flight sees
 * that its payer has gone, and gives it back. */
static bool unsent(const struct purchase *purchase)
{
        return purchase->place == PURCHASE_WAITS ||
               (purchase->place == PURCHASE_FLIES && !purchase->sent_stored);
}

bool entry_withdraw_locked(struct scheduler *scheduler, struct loop *loop, struct job *job)
{
        struct endings endings = {.scheduler = scheduler, .loop = loop};
        bool withdrawn = job->kept == JOB_WITHDRAWN;
        if (job->attached && job->kept != JOB_KEPT && unsent(job->purchase)) {
                withdrawn = true;
                end_job_locked(&endings, job, END_WITHDRAWN);
                endings_write_locked(&endings);
        }
        return withdrawn;
}

bool entry_withdraw(struct scheduler *scheduler, struct loop *loop, struct job *job)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool withdrawn = entry_withdraw_locked(scheduler, loop, job);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return withdrawn;
}

/* A job that waits, and whose id has not left. */
static bool waits_unkept(const struct job *job)
{
        return job->purchase->place == PURCHASE_WAITS &&
               (job->kept == JOB_NOT_KEPT || job->kept == JOB_KEEP_FAILED);
}

static bool withdraw_if_unkept(struct endings *endings, struct job *job, struct walk *walk)
{
        (void)walk;
        if (waits_unkept(job))
                end_job_locked(endings, job, END_WITHDRAWN);
        return true;
}

static bool has_unkept(const struct scheduler *scheduler)
{
        const struct scheduler_setup *setup = &scheduler->setup;

        return scheduler->unkept_jobs > 0 && setup->store && store_detached(setup->store);
}

void entry_withdraw_unkept(struct scheduler *scheduler, struct loop *loop)
{
        static const struct walk_kind kind = {has_unkept, withdraw_if_unkept};

        (void)pthread_mutex_lock(&scheduler->mutex);
        if (has_unkept(scheduler) && !scheduler->withdrawal.kind)
                walk_begin_locked(&scheduler->withdrawal, &kind, loop);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

/* ---- the stop ---- */

/* Not as a walk: when this returns, all have ended, whatever time the stop has. */
void entry_cancel_waiting(struct scheduler *scheduler, struct loop *loop)
{
        struct endings endings = {.scheduler = scheduler, .loop = loop};
        struct unfinished_cursor cursor;
        struct job *job;

        (void)pthread_mutex_lock(&scheduler->mutex);
        unfinished_cursor_open(&scheduler->unfinished, &cursor);
        for (int i = 1; (job = unfinished_cursor_next(&cursor)); i++) {
                if (job->purchase->place == PURCHASE_WAITS)
                        end_job_locked(&endings, job, END_STOPPED);
                if (i % CANCEL_BATCH != 0)
                        continue;
                endings_write_locked(&endings);
                scheduler_let_others_in_locked(scheduler);
        }
        unfinished_cursor_close(&scheduler->unfinished, &cursor);
        endings_write_locked(&endings);
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
