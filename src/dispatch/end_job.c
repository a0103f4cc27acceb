/*
 * end_job: see end_job.h.
 */
#include "dispatch/end_job.h"

#include "access/clients.h"
#include "dispatch/arbiter.h"
#include "dispatch/entry.h"
#include "dispatch/job_log.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/results.h"
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define MESSAGE_BYTES_MAX 1024

/* ---- what follows from each reason ---- */

struct end_as {
        enum job_state state;
        enum job_error error;
        const char *message;
};

struct end_rule {
        struct end_as unsent;   /* if the upstream surely did not take it */
        struct end_as in_doubt; /* if an earlier attempt may have been charged; without a message:
                                   a job in doubt does not end for this reason */
        bool forgotten;         /* no outcome is stored: its row is deleted */
        bool payment_passes_on; /* if it was to pay, and its purchase waits, another job pays */
};

#define OVERDUE "limits.job_deadline passed while the job was queued"
#define NO_TRIES                                                                                   \
        "a reload has changed retry.on_unknown or retry.attempts, so the job was not sent again"

#define EITHER_WAY(...) .unsent = __VA_ARGS__, .in_doubt = __VA_ARGS__
/* Cancelled means that it was never sent, or surely turned away. */
#define NOT_SENT(why)                                                                              \
        .unsent = {JOB_CANCELLED, JOB_CANCELLED_ERROR, why ", so the job was not sent"},           \
        .in_doubt = {JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, why ", so the job was not sent again"}

static const struct end_rule rules[] = {
        [END_BY_OWNER] = {.unsent = {JOB_CANCELLED, JOB_CANCELLED_ERROR, "cancelled by its owner"},
                          .payment_passes_on = true},
        [END_BY_OPERATOR] = {.unsent = {JOB_CANCELLED, JOB_CANCELLED_ERROR,
                                        "cancelled by the operator"},
                             .payment_passes_on = true},
        [END_STOPPED] = {.unsent = {JOB_CANCELLED, JOB_CANCELLED_ERROR,
                                    "solvegate was stopped before the job was sent; send it again"},
                         .in_doubt = {JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                                      "solvegate was stopped, so the job was not sent again"}},
        [END_OVERDUE] = {EITHER_WAY({JOB_FAILED, JOB_DEADLINE, OVERDUE}),
                         .payment_passes_on = true},
        [END_ALL_OVERDUE] = {EITHER_WAY({JOB_FAILED, JOB_DEADLINE, OVERDUE})},
        [END_NO_RESULT] = {EITHER_WAY(
                {JOB_FAILED, JOB_DEADLINE, "no result within limits.job_deadline"})},
        /* The policy's reason comes before its message. */
        [END_NOT_ALLOWED] = {NOT_SENT(""), .payment_passes_on = true},
        [END_PAYER_GONE] = {NOT_SENT("the identical job that was to pay has left, and the client's "
                                     "own limit is used up")},
        [END_NO_TRIES] = {.unsent = {JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE, NO_TRIES},
                          .in_doubt = {JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, NO_TRIES}},
        [END_NO_TRIES_AT_START] = {NOT_SENT("retry.on_unknown or retry.attempts has changed")},
        [END_WITHDRAWN] = {.forgotten = true, .payment_passes_on = true},
};

struct outcome *end_outcome(const struct purchase *purchase, enum end_reason reason,
                            const char *not_allowed)
{
        const struct end_rule *rule = &rules[reason];
        const struct end_as *as = purchase->doubtful ? &rule->in_doubt : &rule->unsent;
        char message[MESSAGE_BYTES_MAX];

        assert(as->message);
        (void)snprintf(message, sizeof message, "%s%s; %s%s%s",
                       reason == END_NOT_ALLOWED ? not_allowed : "", as->message,
                       purchase->state == JOB_ACCEPTED
                               ? "the upstream has the job and may have charged it"
                               : purchase_charge_note(purchase),
                       purchase->trouble ? "; the last try: " : "",
                       purchase->trouble ? purchase->trouble : "");
        return outcome_failed(as->state, as->error, message);
}

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
        scheduler_expire_more_locked(scheduler);
        scheduler_walk_on_locked(&scheduler->review);
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
        record->purchase = purchase_ref(purchase);
        if (dropped) {
                record->move = STORE_PURCHASE_MOVE;
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

/* ---- one job ---- */

/* Another reload may have allowed it again meanwhile. */
static const char *why_not_allowed_locked(const struct scheduler *scheduler, const struct job *job)
{
        const char *why =
                entry_why_unwanted_locked(scheduler, client_of(job->flow), job->purchase->host);

        return why ? why : "a reload did not allow its client or site";
}

/* What may have cost money is for an operator to look into. */
static void log_end(const struct job *job, const struct outcome *outcome)
{
        enum log_level level = outcome->state == JOB_UNKNOWN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;

        if (job_log_take(level, job))
                job_log_end(level, &(struct job_end){
                                           .job = job->id,
                                           .outcome = job_error_code(outcome->error),
                                           .client = job->client,
                                           .site = job->purchase->host,
                                           .detail = outcome->text,
                                           .duration_ms = JOB_NOT_SENT,
                                   });
}

/* The job becomes final when its end is stored. */
static void finish_locked(struct endings *endings, struct job *job, struct outcome *outcome)
{
        struct scheduler *scheduler = endings->scheduler;
        bool stored =
                scheduler->setup.store && (job->kept == JOB_KEPT || job->kept == JOB_BEING_KEPT);

        job->ended_alone = true;
        job->cancelled = outcome->state == JOB_CANCELLED;
        if (!stored || add_ending_locked(endings, job, outcome) < 0)
                entry_finish_now_locked(scheduler, job, outcome);
        add_dropped_locked(endings, job->purchase);
}

/* A record of it may be on its way, or be brought back by a crash. */
static void forget_locked(struct scheduler *scheduler, struct job *job)
{
        entry_write_drop_locked(scheduler, job->purchase, job);
        results_nudge(scheduler->setup.results, job);
        results_remove(scheduler->setup.results, job);
        arbiter_forget(scheduler->setup.arbiter, job);
}

/* Takes it away from its purchase. */
static void leave_locked(struct scheduler *scheduler, struct job *job)
{
        struct purchase *purchase = job->purchase;

        entry_detach_locked(scheduler, job);
        if (!purchase->jobs && purchase->place == PURCHASE_WAITS)
                entry_drop_locked(scheduler, purchase);
}

void end_job_locked(struct endings *endings, struct job *job, enum end_reason reason)
{
        const struct end_rule *rule = &rules[reason];
        struct scheduler *scheduler = endings->scheduler;
        struct purchase *purchase = purchase_ref(job->purchase);
        bool pays = purchase->place == PURCHASE_WAITS && purchase->jobs == job;

        endings->count++;
        if (rule->forgotten) {
                entry_set_kept_locked(scheduler, job, JOB_WITHDRAWN);
                leave_locked(scheduler, job);
                forget_locked(scheduler, job);
        } else {
                const char *why =
                        reason == END_NOT_ALLOWED ? why_not_allowed_locked(scheduler, job) : NULL;
                struct outcome *outcome = end_outcome(purchase, reason, why);
                log_end(job, outcome);
                leave_locked(scheduler, job);
                finish_locked(endings, job, outcome);
                outcome_unref(outcome);
        }
        if (pays && rule->payment_passes_on)
                end_pass_payment_on_locked(endings, purchase);
        job_unref(job);
        purchase_unref(purchase);
}

/* ---- when the payer has ended ---- */

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

void end_pass_payment_on_locked(struct endings *endings, struct purchase *purchase)
{
        if (!purchase->jobs || purchase->given_up != END_NOT)
                return;
        if (payment_pass_on_locked(endings->scheduler->setup.arbiter, purchase))
                write_payer_locked(endings->scheduler, purchase);
        else
                end_all_jobs_locked(endings, purchase, END_PAYER_GONE);
}

/* ---- all jobs of a purchase ---- */

/* In the queue it only counts from then on. */
static void put_aside_locked(struct scheduler *scheduler, struct purchase *purchase,
                             enum end_reason reason)
{
        queue_remove(&scheduler->queue, purchase);
        queue_set_aside(&scheduler->queue, purchase);
        entry_unlist_locked(scheduler, purchase);
        purchase->given_up = reason;
        DL_APPEND2(scheduler->given_up, purchase, given_up_prev, given_up_next);
}

void end_all_jobs_locked(struct endings *endings, struct purchase *purchase, enum end_reason reason)
{
        struct scheduler *scheduler = endings->scheduler;

        if (purchase->given_up != END_NOT)
                return;
        (void)purchase_ref(purchase);
        payment_release_locked(scheduler->setup.arbiter, purchase);
        put_aside_locked(scheduler, purchase, reason);
        while (purchase->jobs && endings_have_room_locked(endings))
                end_job_locked(endings, purchase->jobs, reason);
        if (purchase->jobs)
                scheduler_expire_more_locked(scheduler);
        purchase_unref(purchase);
}
