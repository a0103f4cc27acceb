/*
 * entry: see entry.h.
 */
#include "engine/entry.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/scheduler_private.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What was paid for before a stop is asked for a while after it, even if it is late by then. */
#define ACCEPTED_GRACE_MS 30000

#define MESSAGE_BYTES_MAX 1024

/* ---- purchases and their jobs ---- */

/* Makes a purchase joinable, in place of an older one. */
static void list_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        struct purchase *older = NULL;

        HASH_FIND(by_identity, scheduler->by_identity, &purchase->identity,
                  sizeof purchase->identity, older);
        if (older) {
                HASH_DELETE(by_identity, scheduler->by_identity, older);
                older->listed = false;
        }
        HASH_ADD(by_identity, scheduler->by_identity, identity, sizeof purchase->identity,
                 purchase);
        /* NULL: no memory (HASH_NONFATAL_OOM); identical jobs then pay for themselves. */
        purchase->listed = purchase->by_identity.tbl != NULL;
}

void entry_unlist_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        if (!purchase->listed)
                return;
        HASH_DELETE(by_identity, scheduler->by_identity, purchase);
        purchase->listed = false;
}

/* Deadlines come nearly in order, so its place is near the end. */
static void add_due_locked(struct scheduler *scheduler, struct job *job)
{
        struct job *before = scheduler->due ? scheduler->due->due_prev : NULL;

        while (before && before->deadline_ms > job->deadline_ms)
                before = before == scheduler->due ? NULL : before->due_prev;
        if (before)
                DL_APPEND_ELEM2(scheduler->due, before, job, due_prev, due_next);
        else
                DL_PREPEND2(scheduler->due, job, due_prev, due_next);
        scheduler->due_count++;
}

/* Adds a job to a purchase that is not final. */
static void attach_locked(struct scheduler *scheduler, struct purchase *purchase, struct job *job)
{
        (void)job_ref(job); /* the purchase's; not in the macro, which would take several */
        DL_APPEND2(purchase->jobs, job, sibling_prev, sibling_next);
        job->attached = true;
        scheduler->waiting_jobs += purchase->place == PURCHASE_WAITS;
        if (purchase->deadline_ms < job->deadline_ms)
                purchase->deadline_ms = job->deadline_ms;
        add_due_locked(scheduler, job);
}

/* The purchase's reference to the job goes over to the caller. */
static void detach_locked(struct scheduler *scheduler, struct job *job)
{
        DL_DELETE2(scheduler->due, job, due_prev, due_next);
        scheduler->due_count--;
        scheduler->waiting_jobs -= job->purchase->place == PURCHASE_WAITS;
        DL_DELETE2(job->purchase->jobs, job, sibling_prev, sibling_next);
        job->attached = false;
}

void entry_place_locked(struct scheduler *scheduler, struct purchase *purchase,
                        enum purchase_place place)
{
        const struct job *job;
        size_t jobs = 0;

        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                jobs++;
        if (purchase->place == PURCHASE_WAITS)
                scheduler->waiting_jobs -= jobs;
        if (place == PURCHASE_WAITS)
                scheduler->waiting_jobs += jobs;
        purchase->place = place;
}

void entry_move_locked(struct scheduler *scheduler, struct purchase *purchase, enum job_state state)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                results_move(scheduler->setup.results, job, state);
}

/* Before anybody can see it: who has the result finds it counted. */
static void count_end_locked(struct scheduler *scheduler, const struct job *job,
                             const struct outcome *outcome)
{
        scheduler->ended[outcome->error]++;
        if (outcome->state == JOB_SOLVED)
                scheduler->solved[job->source]++;
}

static void finish_now_locked(struct scheduler *scheduler, struct job *job, struct outcome *outcome)
{
        count_end_locked(scheduler, job, outcome);
        results_finish(scheduler->setup.results, job, outcome, clock_monotonic_ms(), false);
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
        bool answers = true;

        purchase->state = outcome->state;
        entry_place_locked(scheduler, purchase, PURCHASE_IS_DONE);
        entry_unlist_locked(scheduler, purchase);
        body_unref(purchase->body);
        purchase->body = NULL;
        while (purchase->jobs) {
                struct job *job = purchase->jobs;
                detach_locked(scheduler, job);
                if (ends_now)
                        count_end_locked(scheduler, job, outcome);
                results_finish(scheduler->setup.results, job, outcome, finished_ms, answers);
                answers = false; /* the first does for all */
                job_unref(job);
        }
}

void entry_drop_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        assert(!purchase->jobs && purchase->place != PURCHASE_IS_DONE);
        if (purchase->place == PURCHASE_WAITS)
                queue_remove(&scheduler->queue, purchase);
        entry_place_locked(scheduler, purchase, PURCHASE_IS_DONE);
        purchase->state = JOB_CANCELLED;
        entry_unlist_locked(scheduler, purchase);
        body_unref(purchase->body);
        purchase->body = NULL;
        purchase_unref(purchase); /* the queue's, or the flight's */
}

/* ---- coming ---- */

/* Finds out what a job has to do with what is there, and becomes part of it. */
static struct job *settle_source_locked(struct scheduler *scheduler, struct job *job,
                                        struct purchase *candidate, bool fresh)
{
        struct purchase *purchase = NULL;
        struct job *solved = NULL;

        if (!fresh) {
                HASH_FIND(by_identity, scheduler->by_identity, &candidate->identity,
                          sizeof candidate->identity, purchase);
                if (!purchase)
                        solved =
                                results_find_solved(scheduler->setup.results, &candidate->identity);
        }
        if (purchase)
                job->source = JOB_FROM_COLLAPSED;
        else if (solved)
                job->source = JOB_FROM_CACHE;
        if (!purchase)
                purchase = solved ? solved->purchase : candidate;
        job->purchase = purchase_ref(purchase);
        if (!solved)
                job->state = purchase->state;
        return solved;
}

static int submit_locked(struct scheduler *scheduler, struct job *job, struct purchase *candidate,
                         bool fresh, struct job **ret_other)
{
        /* What costs nothing is not held up by what is full, or refused upstream. */
        struct job *other = results_find_keyed(scheduler->setup.results, job);
        if (other) {
                *ret_other = other;
                return -EEXIST;
        }
        struct job *solved = settle_source_locked(scheduler, job, candidate, fresh);
        int r = job->source == JOB_FROM_UPSTREAM ? scheduler_check_locked(scheduler)
                                                 : scheduler_check_alive_locked(scheduler);
        if (r == 0)
                r = results_add(scheduler->setup.results, job, ret_other);
        if (r == 0 && solved) {
                finish_now_locked(scheduler, job, solved->outcome);
        } else if (r == 0) {
                if (job->source == JOB_FROM_UPSTREAM) {
                        (void)queue_push(&scheduler->queue, purchase_ref(candidate));
                        list_locked(scheduler, candidate);
                }
                attach_locked(scheduler, job->purchase, job);
        }
        job_unref(solved);
        return r;
}

int entry_submit(struct scheduler *scheduler, struct job *job, struct purchase *candidate,
                 bool fresh, struct job **ret_other)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = submit_locked(scheduler, job, candidate, fresh, ret_other);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return r;
}

/* ---- leaving ---- */

/* A job that ended by itself, on its way to the store. */
struct ending {
        struct scheduler *scheduler;
        struct job *job;         /* a reference */
        struct outcome *outcome; /* a reference */
};

static void on_ending_stored(struct store_record *record, int error, void *arg)
{
        struct ending *ending = arg;
        struct scheduler *scheduler = ending->scheduler;

        (void)record;
        (void)pthread_mutex_lock(&scheduler->mutex);
        if (error < 0 && error != -EPROTO) /* solvegate is being stopped, and it was not written */
                results_nudge(scheduler->setup.results, ending->job);
        else
                finish_now_locked(scheduler, ending->job, ending->outcome);
        scheduler->records--;
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        job_unref(ending->job);
        outcome_unref(ending->outcome);
        free(ending);
}

void entry_write_drop_locked(struct scheduler *scheduler, struct purchase *purchase,
                             const struct job *forgotten)
{
        /* One that is final may be needed by other jobs, and is what it is. */
        bool dropped = purchase->state == JOB_CANCELLED && purchase->recorded;
        struct store_record *record = dropped || forgotten ? store_record_new() : NULL;

        if (!scheduler->setup.store || !record) {
                store_record_free(record); /* without memory, the next start finds them */
                return;
        }
        record->must = true;
        if (dropped) {
                record->move = STORE_PURCHASE_MOVE;
                record->purchase = purchase_ref(purchase);
                record->state = JOB_CANCELLED;
        }
        if (forgotten) {
                record->forget = calloc(1, sizeof *record->forget);
                if (record->forget)
                        memcpy(record->forget[record->forget_count++], forgotten->id,
                               sizeof forgotten->id);
        }
        store_write(scheduler->setup.store, record);
}

/* Gives the end of a kept job to the store. Returns -ENOMEM where it cannot. */
static int write_end_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
                            struct outcome *outcome)
{
        struct ending *ending = malloc(sizeof *ending);
        struct store_record *record = store_record_new();

        if (!ending || !record) {
                free(ending);
                store_record_free(record);
                return -ENOMEM;
        }
        *ending = (struct ending){scheduler, job_ref(job), outcome_ref(outcome)};
        record->must = true;
        record->done = on_ending_stored;
        record->arg = ending;
        record->loop = loop;
        record->ended = job_ref(job);
        record->outcome = outcome_ref(outcome);
        scheduler->records++;
        store_write(scheduler->setup.store, record);
        return 0;
}

/* Ends an attached job by itself. */
static void end_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
                       enum job_state state, enum job_error error, const char *why)
{
        struct purchase *purchase = job->purchase;
        char message[MESSAGE_BYTES_MAX];

        (void)snprintf(message, sizeof message, "%s; %s%s%s", why,
                       purchase->state == JOB_ACCEPTED
                               ? "the upstream has the job and may have charged it"
                               : purchase_charge_note(purchase),
                       purchase->trouble ? "; the last try: " : "",
                       purchase->trouble ? purchase->trouble : "");
        struct outcome *outcome = outcome_failed(state, error, message);

        log_info("job %s %s site=%s: %s", job->id, job_state_name(state), purchase->host, message);
        detach_locked(scheduler, job);
        job->ended_alone = true;
        job->cancelled = state == JOB_CANCELLED;
        if (!purchase->jobs && purchase->place == PURCHASE_WAITS)
                entry_drop_locked(scheduler, purchase);
        bool stored =
                scheduler->setup.store && (job->kept == JOB_KEPT || job->kept == JOB_BEING_KEPT);
        if (!stored || write_end_locked(scheduler, loop, job, outcome) < 0)
                finish_now_locked(scheduler, job, outcome);
        entry_write_drop_locked(scheduler, purchase, NULL);
        outcome_unref(outcome);
        job_unref(job);
}

enum entry_cancel entry_cancel(struct scheduler *scheduler, struct loop *loop, struct job *job)
{
        enum entry_cancel result = ENTRY_SENT;

        (void)pthread_mutex_lock(&scheduler->mutex);
        if (job->attached && job->purchase->place == PURCHASE_WAITS) {
                end_locked(scheduler, loop, job, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                           "cancelled by its owner");
                result = ENTRY_CANCELLED;
        } else if (job->cancelled ||
                   results_state(scheduler->setup.results, job) == JOB_CANCELLED) {
                result = ENTRY_CANCELLED; /* it was, or will be as soon as that is stored */
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return result;
}

/* Nothing of it has been sent, nor is going to be without somebody looking once more. */
static bool unsent(const struct purchase *purchase)
{
        return purchase->place == PURCHASE_WAITS ||
               (purchase->place == PURCHASE_FLIES && !purchase->sent_stored);
}

bool entry_withdraw(struct scheduler *scheduler, struct job *job)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool withdrawn = job->kept == JOB_WITHDRAWN;
        if (job->attached && job->kept != JOB_KEPT && unsent(job->purchase)) {
                struct purchase *purchase = job->purchase;
                withdrawn = true;
                job->kept = JOB_WITHDRAWN;
                detach_locked(scheduler, job);
                if (!purchase->jobs && purchase->place == PURCHASE_WAITS)
                        entry_drop_locked(scheduler, purchase);
                /* A record of it may be on its way, or be brought back by a crash. */
                entry_write_drop_locked(scheduler, purchase, job);
                results_nudge(scheduler->setup.results, job);
                results_remove(scheduler->setup.results, job);
                job_unref(job);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return withdrawn;
}

/* Ends one job that is too late. Returns whether there may be another. */
static bool expire_next_locked(struct scheduler *scheduler, struct loop *loop, int64_t now_ms)
{
        struct job *job;

        DL_FOREACH2 (scheduler->due, job, due_next) {
                if (job->deadline_ms > now_ms)
                        return false;
                if (job->purchase->place == PURCHASE_WAITS) {
                        end_locked(scheduler, loop, job, JOB_FAILED, JOB_DEADLINE,
                                   "limits.job_deadline passed while the job was queued");
                        return true;
                }
                /* The flight sees to the last one. */
                if (job->purchase->state == JOB_ACCEPTED && job->sibling_next) {
                        end_locked(scheduler, loop, job, JOB_FAILED, JOB_DEADLINE,
                                   "no result within limits.job_deadline");
                        return true;
                }
        }
        return false;
}

/* One by one, so that nobody waits long for the mutex. */
void entry_expire(struct scheduler *scheduler, struct loop *loop, int64_t now_ms)
{
        bool more = true;

        while (more) {
                (void)pthread_mutex_lock(&scheduler->mutex);
                more = expire_next_locked(scheduler, loop, now_ms);
                (void)pthread_mutex_unlock(&scheduler->mutex);
        }
}

void entry_cancel_waiting(struct scheduler *scheduler, struct loop *loop)
{
        struct job *job, *next;

        (void)pthread_mutex_lock(&scheduler->mutex);
        DL_FOREACH_SAFE2 (scheduler->due, job, next, due_next) {
                if (job->purchase->place == PURCHASE_WAITS)
                        end_locked(scheduler, loop, job, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                                   "solvegate was stopped before the job was sent; send it again");
        }
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

/* ---- coming back after a start ---- */

/*
 * Deadlines by the clock of the wall, which may have been set back since, are no later than those
 * of new jobs; and what was paid for is asked for a while, however late it is.
 */
static void mend_deadline(const struct scheduler *scheduler, const struct purchase *purchase,
                          struct job *job)
{
        int64_t now_ms = clock_monotonic_ms();
        int64_t latest_ms = now_ms + scheduler->setup.config->limits.job_deadline_ms;

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

/* A key that is taken, by whatever happened, does not keep the job from being found by its id. */
static int add_restored(struct scheduler *scheduler, struct job *job)
{
        struct job *other = NULL;
        int r = results_add(scheduler->setup.results, job, &other);

        if (r == -EEXIST) {
                job_unref(other);
                job->key = NULL;
                r = results_add(scheduler->setup.results, job, &other);
        }
        return r;
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
                mend_deadline(scheduler, purchase, job);
                int added = add_restored(scheduler, job);
                if (added == 0)
                        attach_locked(scheduler, purchase, job);
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

int entry_restore(struct scheduler *scheduler, struct purchase *purchase, struct outcome *outcome,
                  int64_t finished_wall_ms)
{
        enum job_state state = purchase->state;

        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = adopt_jobs(scheduler, purchase);
        if (r < 0 || !purchase->jobs) {
                purchase_unref(purchase);
        } else if (outcome) {
                entry_finish_locked(scheduler, purchase, outcome, finished_ms(finished_wall_ms));
                purchase_unref(purchase);
        } else if (state == JOB_ACCEPTED) {
                entry_place_locked(scheduler, purchase, PURCHASE_FLIES);
                DL_APPEND2(scheduler->accepted, purchase, queue_prev, queue_next);
                list_locked(scheduler, purchase);
        } else {
                queue_return(&scheduler->queue, purchase);
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
        job->state = state_before(outcome->state);
        if (r == 0)
                results_finish(scheduler->setup.results, job, outcome,
                               finished_ms(finished_wall_ms), false);
        job_unref(job);
        outcome_unref(outcome);
        return r;
}
