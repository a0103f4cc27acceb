/*
 * entry_end: see entry_end.h.
 */
#include "dispatch/entry_end.h"

#include "access/clients.h"
#include "dispatch/entry.h"
#include "dispatch/entry_walk.h"
#include "dispatch/job_log.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/results.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define MESSAGE_BYTES_MAX 1024

/* ---- records ---- */

static void end_all_locked(struct scheduler *scheduler, const struct store_record *record,
                           int error)
{
        for (size_t i = 0; i < record->ending_count; i++) {
                const struct store_ending *ending = &record->endings[i];
                if (error < 0 && error != -EPROTO) /* solvegate is being stopped */
                        results_nudge(scheduler->setup.results, ending->job);
                else
                        entry_finish_now_locked(scheduler, ending->job, ending->outcome);
        }
}

static void write_apart_locked(struct scheduler *scheduler, const struct store_record *record);

static void on_endings_stored(struct store_record *record, int error, void *arg)
{
        struct scheduler *scheduler = arg;

        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler->endings -= record->ending_count;
        scheduler->records--;
        if (error == -EPROTO && record->ending_count + record->dropped_count > 1)
                write_apart_locked(scheduler, record);
        else
                end_all_locked(scheduler, record, error);
        entry_expire_more_locked(scheduler);
        walk_go_on_locked(&scheduler->review);
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void endings_write_locked(struct endings *endings)
{
        struct scheduler *scheduler = endings->scheduler;
        struct store_record *record = endings->record;

        if (!record)
                return;
        endings->record = NULL;
        record->must = true;
        record->done = on_endings_stored;
        record->arg = scheduler;
        record->loop = endings->loop;
        scheduler->endings += record->ending_count;
        scheduler->records++;
        store_write(scheduler->setup.store, record);
}

bool endings_have_room_locked(const struct endings *endings)
{
        size_t unwritten = endings->record ? endings->record->ending_count : 0;

        return endings->count < ENDINGS_BATCH &&
               endings->scheduler->endings + unwritten < ENDINGS_STORED_MAX;
}

/* Returns the record, a new one if there is none; NULL without memory. */
static struct store_record *record_of_locked(struct endings *endings)
{
        struct store_record *record;

        if (endings->record)
                return endings->record;
        record = store_record_new();
        if (!record)
                return NULL;
        record->endings = calloc(ENDINGS_BATCH, sizeof *record->endings);
        record->dropped = calloc(ENDINGS_BATCH, sizeof(struct purchase *));
        if (!record->endings || !record->dropped) {
                store_record_free(record);
                return NULL;
        }
        endings->record = record;
        return record;
}

/* Adds the end of a stored job. Returns -ENOMEM where it cannot. */
static int add_ending_locked(struct endings *endings, struct job *job, struct outcome *outcome)
{
        if (endings->record && endings->record->ending_count == ENDINGS_BATCH)
                endings_write_locked(endings);
        struct store_record *record = record_of_locked(endings);
        if (!record)
                return -ENOMEM;
        record->endings[record->ending_count++] =
                (struct store_ending){job_ref(job), outcome_ref(outcome)};
        return 0;
}

/* Adds a purchase that was dropped, if the store has it. One that is final may be needed by other
 * jobs. Without memory, the next start finds it. */
static void add_dropped_locked(struct endings *endings, struct purchase *purchase)
{
        if (purchase->state != JOB_CANCELLED || !purchase->recorded ||
            !endings->scheduler->setup.store)
                return;
        /* The purchase of the last job that fits in goes along with it. */
        if (endings->record && endings->record->dropped_count == ENDINGS_BATCH)
                endings_write_locked(endings);
        struct store_record *record = record_of_locked(endings);
        if (record)
                record->dropped[record->dropped_count++] = purchase_ref(purchase);
}

/* One part of the record can never be written, and has kept the others out: gives each to the store
 * in a record of its own. */
static void write_apart_locked(struct scheduler *scheduler, const struct store_record *record)
{
        struct endings alone = {.scheduler = scheduler, .loop = record->loop};

        for (size_t i = 0; i < record->ending_count; i++) {
                const struct store_ending *ending = &record->endings[i];
                if (add_ending_locked(&alone, ending->job, ending->outcome) < 0)
                        entry_finish_now_locked(scheduler, ending->job, ending->outcome);
                endings_write_locked(&alone);
        }
        for (size_t i = 0; i < record->dropped_count; i++) {
                add_dropped_locked(&alone, record->dropped[i]);
                endings_write_locked(&alone);
        }
}

/* ---- ends ---- */

static struct outcome *describe(const struct job *job, enum job_state state, enum job_error error,
                                const char *why)
{
        const struct purchase *purchase = job->purchase;
        char message[MESSAGE_BYTES_MAX];

        (void)snprintf(message, sizeof message, "%s; %s%s%s", why,
                       purchase->state == JOB_ACCEPTED
                               ? "the upstream has the job and may have charged it"
                               : purchase_charge_note(purchase),
                       purchase->trouble ? "; the last try: " : "",
                       purchase->trouble ? purchase->trouble : "");

        /* What may have cost money is for an operator to look into. */
        enum log_level level = state == JOB_UNKNOWN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;

        if (job_log_take(level, job))
                job_log_end(level, &(struct job_end){
                                           .job = job->id,
                                           .outcome = job_error_code(error),
                                           .client = job->client,
                                           .site = purchase->host,
                                           .detail = message,
                                           .duration_ms = JOB_NOT_SENT,
                                   });
        return outcome_failed(state, error, message);
}

void endings_end_one_locked(struct endings *endings, struct job *job, enum job_state state,
                            enum job_error error, const char *why)
{
        struct scheduler *scheduler = endings->scheduler;
        struct purchase *purchase = purchase_ref(job->purchase);
        struct outcome *outcome = describe(job, state, error, why);

        endings->count++;
        entry_detach_locked(scheduler, job);
        job->ended_alone = true;
        job->cancelled = state == JOB_CANCELLED;
        if (!purchase->jobs && purchase->place == PURCHASE_WAITS)
                entry_drop_locked(scheduler, purchase);
        bool stored =
                scheduler->setup.store && (job->kept == JOB_KEPT || job->kept == JOB_BEING_KEPT);
        if (!stored || add_ending_locked(endings, job, outcome) < 0)
                entry_finish_now_locked(scheduler, job, outcome);
        add_dropped_locked(endings, purchase);
        outcome_unref(outcome);
        job_unref(job);
        purchase_unref(purchase);
}

void endings_end_one_unsent_locked(struct endings *endings, struct job *job, const char *why)
{
        bool doubtful = job->purchase->doubtful;
        char message[MESSAGE_BYTES_MAX];

        (void)snprintf(message, sizeof message, "%s, so the job was not sent%s", why,
                       doubtful ? " again" : "");
        endings_end_one_locked(endings, job, doubtful ? JOB_UNKNOWN : JOB_CANCELLED,
                               doubtful ? JOB_OUTCOME_UNKNOWN : JOB_CANCELLED_ERROR, message);
}

/* ---- who pays then ---- */

/* After a crash the same one is to pay. */
static void write_payer_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        struct store_record *record =
                scheduler->setup.store && purchase->recorded ? store_record_new() : NULL;

        if (!record)
                return; /* without memory the next start finds one who can */
        record->must = true;
        record->purchase = purchase_ref(purchase);
        (void)snprintf(record->payer, sizeof record->payer, "%s", purchase->jobs->id);
        store_write(scheduler->setup.store, record);
}

void endings_pass_payment_on_locked(struct endings *endings, struct purchase *purchase)
{
        if (!purchase->jobs || purchase->given_up != PURCHASE_GOES_ON)
                return;
        if (payment_pass_on_locked(endings->scheduler->setup.arbiter, purchase))
                write_payer_locked(endings->scheduler, purchase);
        else
                endings_give_up_locked(endings, purchase, PURCHASE_WITHOUT_PAYER);
}

/* ---- purchases that are given up ---- */

/* Another reload may have allowed it again meanwhile. */
static const char *why_not_allowed(const struct endings *endings, const struct job *job)
{
        const char *why = entry_why_unwanted_locked(endings->scheduler, client_of(job->flow),
                                                    job->purchase->host);

        return why ? why : "a reload did not allow its client or site";
}

void endings_end_given_up_locked(struct endings *endings, struct job *job,
                                 enum purchase_given_up why)
{
        bool doubtful = job->purchase->doubtful;

        switch (why) {
        case PURCHASE_GOES_ON:
                break;
        case PURCHASE_WITHOUT_PAYER:
                endings_end_one_unsent_locked(endings, job, ENTRY_PAYER_GONE);
                break;
        case PURCHASE_NOT_ALLOWED:
                endings_end_one_unsent_locked(endings, job, why_not_allowed(endings, job));
                break;
        case PURCHASE_WITHOUT_TRIES:
                endings_end_one_locked(
                        endings, job, doubtful ? JOB_UNKNOWN : JOB_FAILED,
                        doubtful ? JOB_OUTCOME_UNKNOWN : JOB_UPSTREAM_UNAVAILABLE,
                        "a reload has changed retry.on_unknown or retry.attempts, so the "
                        "job was not sent again");
                break;
        }
}

/* In the queue it only counts from then on. */
static void put_aside_locked(struct scheduler *scheduler, struct purchase *purchase,
                             enum purchase_given_up why)
{
        queue_remove(&scheduler->queue, purchase);
        queue_set_aside(&scheduler->queue, purchase);
        entry_unlist_locked(scheduler, purchase);
        purchase->given_up = why;
        DL_APPEND2(scheduler->given_up, purchase, given_up_prev, given_up_next);
        entry_expire_more_locked(scheduler);
}

void endings_give_up_locked(struct endings *endings, struct purchase *purchase,
                            enum purchase_given_up why)
{
        if (purchase->given_up != PURCHASE_GOES_ON)
                return;
        (void)purchase_ref(purchase);
        payment_release_locked(endings->scheduler->setup.arbiter, purchase);
        while (purchase->jobs && endings_have_room_locked(endings))
                endings_end_given_up_locked(endings, purchase->jobs, why);
        if (purchase->jobs)
                put_aside_locked(endings->scheduler, purchase, why);
        purchase_unref(purchase);
}

/* ---- ends, and who pays then ---- */

bool endings_pays_locked(const struct job *job)
{
        return job->purchase->place == PURCHASE_WAITS && job->purchase->jobs == job;
}

void endings_end_locked(struct endings *endings, struct job *job, enum job_state state,
                        enum job_error error, const char *why)
{
        struct purchase *purchase = purchase_ref(job->purchase);
        bool paid = endings_pays_locked(job);

        endings_end_one_locked(endings, job, state, error, why);
        if (paid)
                endings_pass_payment_on_locked(endings, purchase);
        purchase_unref(purchase);
}

void endings_end_unsent_locked(struct endings *endings, struct job *job, const char *why)
{
        struct purchase *purchase = purchase_ref(job->purchase);
        bool paid = endings_pays_locked(job);

        endings_end_one_unsent_locked(endings, job, why);
        if (paid)
                endings_pass_payment_on_locked(endings, purchase);
        purchase_unref(purchase);
}
