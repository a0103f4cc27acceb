/*
 * keep: see keep.h.
 */
#include "dispatch/keep.h"

#include "access/clients.h"
#include "config/config.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/waiter.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A row on its way to the store. */
struct keeping {
        struct scheduler *scheduler;
        struct job *job; /* a reference */
};

bool keep_done(struct scheduler *scheduler, const struct job *job)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool done = !scheduler->setup.store || job->kept == JOB_KEPT;
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return done;
}

/* It may have been forgotten for want of memory while its row was on its way. */
static void forget_if_gone_locked(struct scheduler *scheduler, struct job *job)
{
        struct job *found = results_find(scheduler->setup.results, job->id);

        if (!found && job->purchase)
                entry_write_drop_locked(scheduler, job->purchase, job);
        job_unref(found);
}

static void on_row_stored(struct store_record *record, int error, void *arg)
{
        struct keeping *keeping = arg;
        struct scheduler *scheduler = keeping->scheduler;
        struct job *job = keeping->job;

        (void)pthread_mutex_lock(&scheduler->mutex);
        if (error == 0 && record->body)
                record->purchase->body_stored = true;
        /* A step of its purchase may have brought it along before. */
        if (job->kept == JOB_BEING_KEPT)
                entry_set_kept_locked(scheduler, job, error == 0 ? JOB_KEPT : JOB_KEEP_FAILED);
        waiters_wake_locked(&job->keep_waiters, WAITER_FINAL);
        forget_if_gone_locked(scheduler, job);
        scheduler->records--;
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        job_unref(job);
        free(keeping);
}

/* With what the store needs to know of the purchase, unless it surely knows already. */
static void add_purchase_locked(const struct scheduler *scheduler, const struct job *job,
                                struct store_record *record)
{
        struct purchase *purchase = job->purchase;
        bool may_be_sent_again =
                purchase->place != PURCHASE_IS_DONE &&
                (!purchase->sent_stored || scheduler->config->retry.on_unknown == ON_UNKNOWN_RETRY);

        record->move = STORE_PURCHASE_ADD;
        record->purchase = purchase_ref(purchase);
        purchase->recorded = true;
        /* Until the store has it as sending, it is queued. */
        record->state = JOB_QUEUED;
        if (may_be_sent_again && !purchase->body_stored && purchase->body) {
                record->body = body_ref(purchase->body);
                record->lines[0] = payment_line_locked(purchase);
                record->lines[1] = &client_of(job->flow)->records;
        }
        /* Jobs are kept in any order. */
        if (purchase->place == PURCHASE_WAITS && purchase->jobs && purchase->jobs->sibling_next)
                (void)snprintf(record->payer, sizeof record->payer, "%s", purchase->jobs->id);
}

/*
 * Describes a job, as it is now, in a record. One that has an end of its own, or of its own time,
 * as from the cache, needs no purchase. Returns -ENOMEM where it cannot.
 */
static int describe_locked(struct scheduler *scheduler, struct job *job,
                           struct store_record *record)
{
        bool final = job_state_final(results_state(scheduler->setup.results, job));

        if (final)
                record->outcome = outcome_ref(job->outcome);
        if (final && (job->ended_alone || job->source == JOB_FROM_CACHE)) {
                record->ended = job_ref(job);
                return 0;
        }
        record->jobs = calloc(1, sizeof *record->jobs);
        if (!record->jobs)
                return -ENOMEM;
        record->jobs[record->job_count++] = job_ref(job);
        add_purchase_locked(scheduler, job, record);
        if (final)
                record->state = job->outcome->state;
        return 0;
}

static int write_row_locked(struct scheduler *scheduler, struct loop *loop, struct job *job)
{
        struct keeping *keeping = malloc(sizeof *keeping);
        struct store_record *record = store_record_new();

        if (!keeping || !record || describe_locked(scheduler, job, record) < 0) {
                free(keeping);
                store_record_free(record);
                return -ENOMEM;
        }
        *keeping = (struct keeping){scheduler, job_ref(job)};
        record->done = on_row_stored;
        record->arg = keeping;
        record->loop = loop;
        entry_set_kept_locked(scheduler, job, JOB_BEING_KEPT);
        scheduler->records++;
        store_write(scheduler->setup.store, record);
        return 0;
}

bool keep_wait(struct scheduler *scheduler, struct loop *loop, struct job *job,
               struct waiter *waiter)
{
        bool armed = false;

        (void)pthread_mutex_lock(&scheduler->mutex);
        if (scheduler->setup.store && job->kept != JOB_KEPT && job->kept != JOB_WITHDRAWN) {
                armed = job->kept == JOB_BEING_KEPT || write_row_locked(scheduler, loop, job) == 0;
                if (armed)
                        waiters_add_locked(&job->keep_waiters, waiter);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return armed;
}

bool keep_unwait(struct scheduler *scheduler, struct job *job, struct waiter *waiter)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool removed = waiters_remove_locked(&job->keep_waiters, waiter);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return removed;
}
