/*
 * entry_leave: jobs that leave by themselves, see entry.h.
 */
#include "engine/entry.h"

#include "access/clients.h"
#include "access/policy.h"
#include "base/clock.h"
#include "config/config.h"
#include "engine/job_log.h"
#include "engine/payment.h"
#include "engine/scheduler_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define MESSAGE_BYTES_MAX 1024
#define CANCEL_BYTES_MAX  64
#define JUDGE_BATCH       512 /* jobs that are looked at while the mutex is held */

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
                entry_finish_now_locked(scheduler, ending->job, ending->outcome);
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

/* Ends an attached job by itself, whoever pays then. */
static void end_one_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
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
        entry_detach_locked(scheduler, job);
        job->ended_alone = true;
        job->cancelled = state == JOB_CANCELLED;
        if (!purchase->jobs && purchase->place == PURCHASE_WAITS)
                entry_drop_locked(scheduler, purchase);
        bool stored =
                scheduler->setup.store && (job->kept == JOB_KEPT || job->kept == JOB_BEING_KEPT);
        if (!stored || write_end_locked(scheduler, loop, job, outcome) < 0)
                entry_finish_now_locked(scheduler, job, outcome);
        entry_write_drop_locked(scheduler, purchase, NULL);
        outcome_unref(outcome);
        job_unref(job);
}

/* The same for one that is not to be sent, or not again. Cancelled means: never sent. */
static void end_unsent_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
                              const char *why)
{
        bool doubtful = job->purchase->doubtful;
        char message[MESSAGE_BYTES_MAX];

        (void)snprintf(message, sizeof message, "%s, so the job was not sent%s", why,
                       doubtful ? " again" : "");
        end_one_locked(scheduler, loop, job, doubtful ? JOB_UNKNOWN : JOB_CANCELLED,
                       doubtful ? JOB_OUTCOME_UNKNOWN : JOB_CANCELLED_ERROR, message);
}

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

/*
 * A job has left a purchase that waits. If it was to pay, another one is; and if the clients of all
 * the others have nothing left, they end too: joining was free for them, sending is not.
 */
static void pass_payment_on_locked(struct scheduler *scheduler, struct loop *loop,
                                   struct purchase *purchase)
{
        if (!purchase->jobs)
                return;
        if (payment_pass_on_locked(purchase)) {
                write_payer_locked(scheduler, purchase);
                return;
        }
        (void)purchase_ref(purchase);
        while (purchase->jobs)
                end_unsent_locked(scheduler, loop, purchase->jobs, ENTRY_PAYER_GONE);
        purchase_unref(purchase);
}

/* Whether a job is to pay for its purchase, which waits. */
static bool pays(const struct job *job)
{
        return job->purchase->place == PURCHASE_WAITS && job->purchase->jobs == job;
}

/* Ends an attached job by itself. */
static void end_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
                       enum job_state state, enum job_error error, const char *why)
{
        struct purchase *purchase = purchase_ref(job->purchase);
        bool paid = pays(job);

        end_one_locked(scheduler, loop, job, state, error, why);
        if (paid)
                pass_payment_on_locked(scheduler, loop, purchase);
        purchase_unref(purchase);
}

enum entry_cancel entry_cancel(struct scheduler *scheduler, struct loop *loop, struct job *job,
                               const char *by)
{
        char why[CANCEL_BYTES_MAX];
        enum entry_cancel result = ENTRY_SENT;

        (void)snprintf(why, sizeof why, "cancelled by %s", by);
        (void)pthread_mutex_lock(&scheduler->mutex);
        if (job->attached && job->purchase->place == PURCHASE_WAITS && !job->purchase->doubtful) {
                end_locked(scheduler, loop, job, JOB_CANCELLED, JOB_CANCELLED_ERROR, why);
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

/* Takes out a job that is not to be sent and whose id has not left. A flight sees for itself that
 * its payer has gone, and comes back. */
static void withdraw_locked(struct scheduler *scheduler, struct loop *loop, struct job *job)
{
        struct purchase *purchase = purchase_ref(job->purchase);
        bool paid = pays(job);

        job->kept = JOB_WITHDRAWN;
        entry_detach_locked(scheduler, job);
        if (!purchase->jobs && purchase->place == PURCHASE_WAITS)
                entry_drop_locked(scheduler, purchase);
        /* A record of it may be on its way, or be brought back by a crash. */
        entry_write_drop_locked(scheduler, purchase, job);
        results_nudge(scheduler->setup.results, job);
        results_remove(scheduler->setup.results, job);
        if (paid)
                pass_payment_on_locked(scheduler, loop, purchase);
        job_unref(job);
        purchase_unref(purchase);
}

bool entry_withdraw(struct scheduler *scheduler, struct loop *loop, struct job *job)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool withdrawn = job->kept == JOB_WITHDRAWN;
        if (job->attached && job->kept != JOB_KEPT && unsent(job->purchase)) {
                withdrawn = true;
                withdraw_locked(scheduler, loop, job);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return withdrawn;
}

/* A job that waits, and whose id has not left. */
static bool waits_unkept(const struct job *job)
{
        return job->purchase->place == PURCHASE_WAITS &&
               (job->kept == JOB_NOT_KEPT || job->kept == JOB_KEEP_FAILED);
}

void entry_withdraw_unkept(struct scheduler *scheduler, struct loop *loop)
{
        struct job *job, *next;
        int count = 0;

        (void)pthread_mutex_lock(&scheduler->mutex);
        for (job = scheduler->due; job && count < JUDGE_BATCH; job = next) {
                next = job->due_next;
                if (!waits_unkept(job))
                        continue;
                if (next)
                        (void)job_ref(next);
                withdraw_locked(scheduler, loop, job);
                count++;
                /* If no client can pay any more, others of the purchase have ended too. */
                bool ended = next && !next->attached;
                job_unref(next);
                if (ended)
                        next = scheduler->due;
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
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

/* ---- what a reload takes off ---- */

const char *entry_unwanted(const struct policy *policy, const struct job *job, const char *host,
                           int64_t now_wall_ms)
{
        struct client *client = client_of(job->flow);

        if (!policy_knows(policy, client, now_wall_ms) && strcmp(client->name, CLIENT_LOCAL) == 0)
                return "it came while there were no clients, and now a token is needed";
        if (!policy_knows(policy, client, now_wall_ms))
                return "its client was taken out of the configuration, or has expired";
        if (!host || policy_check_site(policy, client, host, now_wall_ms) != POLICY_SITE_ALLOWED)
                return "the site is not on the allow-list any more";
        return NULL;
}

static const char *unwanted(const struct scheduler *scheduler, const struct job *job,
                            int64_t now_wall_ms)
{
        if (!scheduler->policy)
                return NULL;
        return entry_unwanted(scheduler->policy, job, job->purchase->host, now_wall_ms);
}

bool entry_wanted_locked(const struct scheduler *scheduler, const struct job *job)
{
        return !unwanted(scheduler, job, clock_wall_ms());
}

bool entry_has_tries_locked(const struct scheduler *scheduler, const struct purchase *purchase,
                            int attempts)
{
        const struct config *config = scheduler->config;

        if (purchase->doubtful && config->retry.on_unknown != ON_UNKNOWN_RETRY)
                return false;
        return attempts < config->retry.attempts;
}

/* Whether a purchase that waits can still be sent. */
static bool has_tries_locked(const struct scheduler *scheduler, const struct purchase *purchase)
{
        return entry_has_tries_locked(scheduler, purchase, purchase->attempts);
}

/* Ends a purchase that waits for a try which it does not have any more. */
static void give_up_locked(struct scheduler *scheduler, struct loop *loop,
                           struct purchase *purchase)
{
        bool doubtful = purchase->doubtful;

        (void)purchase_ref(purchase);
        while (purchase->jobs)
                end_one_locked(scheduler, loop, purchase->jobs, doubtful ? JOB_UNKNOWN : JOB_FAILED,
                               doubtful ? JOB_OUTCOME_UNKNOWN : JOB_UPSTREAM_UNAVAILABLE,
                               "a reload has changed retry.on_unknown or retry.attempts, so the "
                               "job was not sent again");
        purchase_unref(purchase);
}

static void end_unwanted_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
                                const char *why)
{
        struct purchase *purchase = purchase_ref(job->purchase);
        bool paid = pays(job);

        end_unsent_locked(scheduler, loop, job, why);
        if (paid)
                pass_payment_on_locked(scheduler, loop, purchase);
        purchase_unref(purchase);
}

void entry_settle_returned_locked(struct scheduler *scheduler, struct loop *loop,
                                  struct purchase *purchase, bool payer_left)
{
        int64_t now_ms = clock_wall_ms();
        struct job *job, *next;
        const char *why;

        (void)purchase_ref(purchase);
        if (payer_left)
                pass_payment_on_locked(scheduler, loop, purchase);
        /* Who pays is the last to go, so that the payment goes to one who stays. */
        for (job = purchase->jobs ? purchase->jobs->sibling_next : NULL; job; job = next) {
                next = job->sibling_next;
                why = unwanted(scheduler, job, now_ms);
                if (why)
                        end_unsent_locked(scheduler, loop, job, why);
        }
        why = purchase->jobs ? unwanted(scheduler, purchase->jobs, now_ms) : NULL;
        if (why)
                end_unwanted_locked(scheduler, loop, purchase->jobs, why);
        if (purchase->jobs && !has_tries_locked(scheduler, purchase))
                give_up_locked(scheduler, loop, purchase);
        purchase_unref(purchase);
}

/* Ends a job that waits, or all of its purchase: with why as unwanted, without as one that has no
 * try left. Whoever goes along is counted too. */
static void take_off_locked(struct scheduler *scheduler, struct loop *loop, struct job *job,
                            const char *why, struct entry_unwanted_counts *counts)
{
        bool cancels = why && !job->purchase->doubtful;
        size_t before = scheduler->due_count;

        if (why)
                end_unwanted_locked(scheduler, loop, job, why);
        else
                give_up_locked(scheduler, loop, job->purchase);
        *(cancels ? &counts->cancelled : &counts->given_up) += before - scheduler->due_count;
}

/*
 * Judges some jobs, from *cursor on, which is a reference, or from the first. Returns whether there
 * are more; then *cursor is the next.
 */
static bool judge_some_locked(struct scheduler *scheduler, struct loop *loop, struct job **cursor,
                              struct entry_unwanted_counts *counts)
{
        int64_t now_ms = clock_wall_ms();
        struct job *job = *cursor && (*cursor)->attached ? *cursor : scheduler->due, *next;

        job_unref(*cursor);
        *cursor = NULL;
        for (int count = 0; job && count < JUDGE_BATCH; count++, job = next) {
                bool waits = job->purchase->place == PURCHASE_WAITS;
                const char *why = waits ? unwanted(scheduler, job, now_ms) : NULL;
                next = job->due_next;
                if (waits && !why && !has_tries_locked(scheduler, job->purchase)) {
                        while (next && next->purchase == job->purchase)
                                next = next->due_next;
                        take_off_locked(scheduler, loop, job, NULL, counts);
                }
                if (!why)
                        continue;
                if (next)
                        (void)job_ref(next);
                take_off_locked(scheduler, loop, job, why, counts);
                /* Ending one may have ended the next one too. */
                bool ended = next && !next->attached;
                job_unref(next);
                if (ended)
                        return true;
        }
        *cursor = job ? job_ref(job) : NULL;
        return job;
}

void entry_cancel_unwanted(struct scheduler *scheduler, struct loop *loop,
                           struct entry_unwanted_counts *ret_counts)
{
        struct entry_unwanted_counts counts = {0};
        struct job *cursor = NULL;
        bool more = true;

        while (more) {
                (void)pthread_mutex_lock(&scheduler->mutex);
                more = judge_some_locked(scheduler, loop, &cursor, &counts);
                (void)pthread_mutex_unlock(&scheduler->mutex);
        }
        *ret_counts = counts;
}

/* ---- the stop ---- */

void entry_cancel_waiting(struct scheduler *scheduler, struct loop *loop)
{
        struct job *job, *next;

        (void)pthread_mutex_lock(&scheduler->mutex);
        DL_FOREACH_SAFE2 (scheduler->due, job, next, due_next) {
                if (job->purchase->place != PURCHASE_WAITS)
                        continue;
                if (job->purchase->doubtful)
                        end_unsent_locked(scheduler, loop, job, "solvegate was stopped");
                else
                        end_one_locked(scheduler, loop, job, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                                       "solvegate was stopped before the job was sent; send it "
                                       "again");
        }
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
