/*
 * entry: see entry.h. This part has purchases with their jobs; submission the jobs that come,
 * the other parts those that leave, entry_restore those that come back after a start.
 */
#include "dispatch/entry.h"

#include "access/clients.h"
#include "base/clock.h"
#include "dispatch/arbiter.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"

#include <assert.h>
#include <utlist.h>

/* ---- purchases and their jobs ---- */

void entry_unlist_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        purchase->joinable = false;
        arbiter_close_locked(scheduler->setup.arbiter, purchase);
}

static bool is_unkept(enum job_kept kept)
{
        return kept == JOB_NOT_KEPT || kept == JOB_KEEP_FAILED;
}

/* A job of a purchase that waits begins or ends to do so. */
static void count_waiting_locked(struct scheduler *scheduler, struct job *job, bool waits)
{
        struct client *client = client_of(job->flow);

        if (waits) {
                scheduler->unkept_jobs += is_unkept(job->kept);
                scheduler->waiting_jobs++;
                client->queued++;
        } else {
                scheduler->unkept_jobs -= is_unkept(job->kept);
                scheduler->waiting_jobs--;
                client->queued--;
        }
}

void entry_set_kept_locked(struct scheduler *scheduler, struct job *job, enum job_kept kept)
{
        if (job->attached && job->purchase->place == PURCHASE_WAITS) {
                scheduler->unkept_jobs -= is_unkept(job->kept);
                scheduler->unkept_jobs += is_unkept(kept);
        }
        job->kept = kept;
}

/* Adds a job to a purchase that is not final. */
void entry_attach_locked(struct scheduler *scheduler, struct purchase *purchase, struct job *job)
{
        bool first = !purchase->jobs;

        (void)job_ref(job); /* the purchase's; not in the macro, which would take several */
        DL_APPEND2(purchase->jobs, job, sibling_prev, sibling_next);
        purchase->job_count++;
        job->attached = true;
        if (job->arrival == 0)
                job->arrival = ++scheduler->arrivals;
        scheduler->busy_clients += client_of(job->flow)->unfinished++ == 0;
        if (purchase->place == PURCHASE_WAITS)
                count_waiting_locked(scheduler, job, true);
        if (purchase->queued)
                queue_join(&scheduler->queue, job);
        if (first || purchase->deadline_ms < job->deadline_ms) {
                purchase->deadline_ms = job->deadline_ms;
                purchase->time_ms = job->deadline_ms - job->created_ms;
        }
        unfinished_add(&scheduler->unfinished, job);
        if (!first) /* it was the last one of an accepted purchase, and is not any more */
                unfinished_expect(&scheduler->unfinished, purchase->jobs);
}

/* The purchase's reference to the job goes over to the caller. */
void entry_detach_locked(struct scheduler *scheduler, struct job *job)
{
        unfinished_remove(&scheduler->unfinished, job);
        scheduler->busy_clients -= --client_of(job->flow)->unfinished == 0;
        if (job->purchase->place == PURCHASE_WAITS)
                count_waiting_locked(scheduler, job, false);
        queue_leave(&scheduler->queue, job);
        DL_DELETE2(job->purchase->jobs, job, sibling_prev, sibling_next);
        job->purchase->job_count--;
        job->attached = false;
}

void entry_place_locked(struct scheduler *scheduler, struct purchase *purchase,
                        enum purchase_place place)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (purchase->place == PURCHASE_WAITS)
                        count_waiting_locked(scheduler, job, false);
                if (place == PURCHASE_WAITS) {
                        count_waiting_locked(scheduler, job, true);
                        unfinished_expect(&scheduler->unfinished, job);
                }
        }
        purchase->place = place;
        if (place == PURCHASE_IS_DONE)
                scheduler_release_id_locked(scheduler, purchase);
        if (place == PURCHASE_WAITS)
                purchase->account = NULL;
}

void entry_move_locked(struct scheduler *scheduler, struct purchase *purchase, enum job_state state)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                results_move(scheduler->setup.results, job, state);
                if (state == JOB_ACCEPTED)
                        unfinished_expect(&scheduler->unfinished, job);
        }
}

/* What tools wait for is between a few tenths of a second and limits.job_deadline. */
static const double solve_bounds_s[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300};

const struct metric_buckets scheduler_solve_buckets = {
        solve_bounds_s,
        sizeof solve_bounds_s / sizeof *solve_bounds_s,
};

/* Before anybody can see it: who has the result finds it counted. A job of before the start was
 * made in the future where the clock was set back. */
static void count_end_locked(struct scheduler *scheduler, const struct job *job,
                             const struct outcome *outcome)
{
        int64_t took_ms = clock_monotonic_ms() - job->created_ms;

        scheduler->ended[outcome->error]++;
        if (outcome->state != JOB_SOLVED)
                return;
        scheduler->solved[job->source]++;
        if (job->source != JOB_FROM_CACHE)
                metric_observe(&scheduler->solve_s, &scheduler_solve_buckets,
                               took_ms > 0 ? (double)took_ms / 1e3 : 0.0);
}

void entry_finish_now_locked(struct scheduler *scheduler, struct job *job, struct outcome *outcome)
{
        count_end_locked(scheduler, job, outcome);
        results_finish(scheduler->setup.results, job, outcome, clock_monotonic_ms());
}

void entry_nudge_locked(struct scheduler *scheduler, const struct purchase *purchase)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                results_nudge(scheduler->setup.results, job);
}

void entry_finish_locked(struct scheduler *scheduler, struct purchase *purchase,
                         struct outcome *outcome, int64_t finished_ms)
{
        /* What the store gave back as final was counted before the start. */
        bool ends_now = purchase->place != PURCHASE_IS_DONE;
        bool answers = outcome->state == JOB_SOLVED;

        purchase->state = outcome->state;
        entry_place_locked(scheduler, purchase, PURCHASE_IS_DONE);
        entry_unlist_locked(scheduler, purchase);
        payment_release_locked(scheduler->setup.arbiter, purchase);
        payment_fix_locked(purchase, NULL);
        body_unref(purchase->body);
        purchase->body = NULL;
        while (purchase->jobs) {
                struct job *job = purchase->jobs;
                entry_detach_locked(scheduler, job);
                if (ends_now)
                        count_end_locked(scheduler, job, outcome);
                if (answers)
                        arbiter_solved_locked(scheduler->setup.arbiter, job);
                answers = false; /* the first does for all */
                results_finish(scheduler->setup.results, job, outcome, finished_ms);
                job_unref(job);
        }
}

void entry_drop_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        assert(!purchase->jobs && purchase->place != PURCHASE_IS_DONE);
        if (purchase->place == PURCHASE_WAITS)
                queue_remove(&scheduler->queue, purchase);
        if (purchase->given_up != END_NOT)
                DL_DELETE2(scheduler->given_up, purchase, given_up_prev, given_up_next);
        purchase->given_up = END_NOT;
        entry_place_locked(scheduler, purchase, PURCHASE_IS_DONE);
        purchase->state = JOB_CANCELLED;
        entry_unlist_locked(scheduler, purchase);
        payment_release_locked(scheduler->setup.arbiter, purchase);
        payment_fix_locked(purchase, NULL);
        body_unref(purchase->body);
        purchase->body = NULL;
        purchase_unref(purchase); /* the queue's, or the flight's */
}
