/*
 * recover: see recover.h.
 */
#include "gateway/recover.h"

#include "access/clients.h"
#include "access/policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "dispatch/charges.h"
#include "dispatch/end_job.h"
#include "dispatch/entry.h"
#include "dispatch/job_log.h"
#include "dispatch/payment.h"
#include "gateway/recover_lost.h"
#include "gateway/recover_progress.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "store/store.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Which results go first depends on their clients, too (job/retention.h). So more of them are read
 * than fit, and the rest is left to it. */
#define READ_TIMES 2

struct progress {
        const struct recovery *from;
        struct recover_progress shown;
        bool no_memory;
        struct purchase *later; /* what depends on what is left to clients (queue links) */
        size_t waiting, accepted, cancelled, unknown, final; /* purchases */
};

static const struct config_upstream *upstream_named(const struct config *config, const char *name)
{
        for (size_t i = 0; name && i < config->upstreams_count; i++) {
                if (strcmp(config->upstreams[i].name, name) == 0)
                        return &config->upstreams[i];
        }
        return NULL;
}

/* Writes what was decided about a purchase. was is what it was before. */
static int write_decision(struct progress *progress, struct purchase *purchase, enum job_state was,
                          struct outcome *outcome, enum store_charge charge)
{
        struct store_record *record = store_record_new();

        if (!record)
                return -ENOMEM;
        if (was == JOB_ACCEPTED || charge == STORE_CHARGE_UNKNOWN)
                record->audit =
                        payment_describe_locked(purchase, purchase->upstream, was == JOB_ACCEPTED,
                                                job_error_code(JOB_OUTCOME_UNKNOWN));
        record->must = true;
        record->move = STORE_PURCHASE_MOVE;
        record->purchase = purchase_ref(purchase);
        record->state = purchase->state;
        record->outcome = outcome ? outcome_ref(outcome) : NULL;
        record->charge = charge;
        if (!outcome) /* it goes on: the first of its jobs pays, after another crash too */
                (void)snprintf(record->payer, sizeof record->payer, "%s", purchase->jobs->id);
        store_write(progress->from->store, record);
        return 0;
}

static int end(struct progress *progress, struct purchase *purchase, struct outcome *outcome,
               enum store_charge charge, struct outcome **ret_outcome)
{
        /* Each that may have cost money, or is not what its owner expects. */
        job_log_end(LOG_LEVEL_WARNING,
                    &(struct job_end){
                            .job = purchase->jobs ? purchase->jobs->id : NULL,
                            .outcome = job_error_code(outcome->error),
                            .client = purchase->jobs ? purchase->jobs->client : NULL,
                            .site = purchase->host,
                            .upstream = purchase->upstream,
                            .detail = outcome->text,
                            .duration_ms = JOB_NOT_SENT,
                    });
        enum job_state was = purchase->state;
        purchase->state = outcome->state;
        if (outcome->state != JOB_CANCELLED)
                payment_mark_paid_locked(purchase);
        int r = write_decision(progress, purchase, was, outcome, charge);
        if (r < 0) {
                outcome_unref(outcome);
                return r;
        }
        *ret_outcome = outcome;
        return 0;
}

static int end_unknown(struct progress *progress, struct purchase *purchase, const char *message,
                       enum store_charge charge, struct outcome **ret_outcome)
{
        progress->unknown++;
        return end(progress, purchase, outcome_failed(JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, message),
                   charge, ret_outcome);
}

/* ---- what waits ---- */

/* The last job of one that is not to be sent, or not again. */
static int end_unsent(struct progress *progress, struct purchase *purchase, struct outcome *outcome,
                      struct outcome **ret_outcome)
{
        progress->cancelled += !purchase->doubtful;
        progress->unknown += purchase->doubtful;
        return end(progress, purchase, outcome,
                   purchase->state == JOB_SENDING ? STORE_CHARGE_UNKNOWN : STORE_CHARGE_NONE,
                   ret_outcome);
}

/* One job of several leaves. Takes over its reference. */
static int end_job(struct progress *progress, struct job *job, struct outcome *outcome)
{
        struct store_record *record = store_record_new();

        if (!record) {
                job_unref(job);
                outcome_unref(outcome);
                return -ENOMEM;
        }
        job_log_end(LOG_LEVEL_WARNING, &(struct job_end){
                                               .job = job->id,
                                               .outcome = job_error_code(outcome->error),
                                               .client = job->client,
                                               .detail = outcome->text,
                                               .duration_ms = JOB_NOT_SENT,
                                       });
        record->must = true;
        record->ended = job_ref(job);
        record->outcome = outcome_ref(outcome);
        store_write(progress->from->store, record);
        return entry_restore_ended(progress->from->scheduler, job, outcome, clock_wall_ms());
}

/*
 * Takes off the jobs of who may not have it any more. *ret_outcome is the end of the purchase, when
 * it was the last one. Who was to pay may be among those that go.
 */
static int end_unwanted(struct progress *progress, struct purchase *purchase,
                        struct outcome **ret_outcome)
{
        int64_t now_ms = clock_wall_ms();
        struct job *job, *next;
        int r = 0;

        DL_FOREACH_SAFE2 (purchase->jobs, job, next, sibling_next) {
                const char *why = entry_unwanted(progress->from->policy, client_of(job->flow),
                                                 purchase->host, now_ms);
                if (!why)
                        continue;
                struct outcome *outcome = end_outcome(purchase, END_NOT_ALLOWED, why);
                if (purchase->jobs == job && !job->sibling_next)
                        return end_unsent(progress, purchase, outcome, ret_outcome);
                purchase->unpaid = purchase->unpaid || purchase->jobs == job;
                DL_DELETE2(purchase->jobs, job, sibling_prev, sibling_next);
                job->attached = false;
                r = end_job(progress, job, outcome);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whether what may have been charged may be tried once more. */
static bool has_tries(const struct progress *progress, const struct purchase *purchase)
{
        const struct config *config = progress->from->config;

        return config->retry.on_unknown == ON_UNKNOWN_RETRY &&
               purchase->attempts < config->retry.attempts;
}

/* *ret_later: it is not clear yet who can pay. */
static int decide_queued(struct progress *progress, struct purchase *purchase,
                         struct outcome **ret_outcome, bool *ret_later)
{
        int r = end_unwanted(progress, purchase, ret_outcome);

        if (r == 0 && !*ret_outcome && purchase->doubtful && !has_tries(progress, purchase))
                return end_unsent(progress, purchase,
                                  end_outcome(purchase, END_NO_TRIES_AT_START, NULL), ret_outcome);
        *ret_later = r == 0 && !*ret_outcome && purchase->unpaid;
        progress->waiting += r == 0 && !*ret_outcome && !purchase->unpaid;
        return r;
}

/* ---- what was being sent ---- */

static int end_sending(struct progress *progress, struct purchase *purchase,
                       struct outcome **ret_outcome)
{
        return end_unknown(progress, purchase,
                           "solvegate ended while it sent the job, which may have been charged, so "
                           "it was not sent again",
                           STORE_CHARGE_UNKNOWN, ret_outcome);
}

static bool may_be_sent_again(const struct progress *progress, const struct purchase *purchase)
{
        return has_tries(progress, purchase) && purchase->body_stored && purchase->jobs;
}

/* The same: one that is to be sent again has to be paid once more. */
static int decide_sending(struct progress *progress, struct purchase *purchase,
                          struct outcome **ret_outcome, bool *ret_later)
{
        if (!may_be_sent_again(progress, purchase))
                return end_sending(progress, purchase, ret_outcome);
        purchase->doubtful = true;
        /* Whoever pays for the next try, this one was his. */
        if (!purchase->payer)
                purchase->payer = job_ref(purchase->jobs);
        payment_mark_paid_locked(purchase);
        int r = end_unwanted(progress, purchase, ret_outcome);
        *ret_later = r == 0 && !*ret_outcome;
        return r;
}

/* ---- what depends on what is left to clients ---- */

/* It was being sent, and may be once more. */
static int decide_in_doubt(struct progress *progress, struct purchase *purchase,
                           struct outcome **ret_outcome)
{
        if (!payment_find_locked(progress->from->arbiter, purchase))
                return end_sending(progress, purchase, ret_outcome);
        purchase->state = JOB_QUEUED;
        purchase->sent_stored = false;
        progress->waiting++;
        int r = write_decision(progress, purchase, JOB_SENDING, NULL, STORE_CHARGE_UNKNOWN);
        job_unref(purchase->payer);
        purchase->payer = NULL;
        return r;
}

/* It waits, and who was to pay has left. */
static int decide_unpaid(struct progress *progress, struct purchase *purchase,
                         struct outcome **ret_outcome)
{
        if (!payment_find_locked(progress->from->arbiter, purchase))
                return end_unsent(progress, purchase, end_outcome(purchase, END_PAYER_GONE, NULL),
                                  ret_outcome);
        progress->waiting++;
        return write_decision(progress, purchase, JOB_QUEUED, NULL, STORE_CHARGE_NONE);
}

static int decide_later(struct progress *progress, struct purchase *purchase)
{
        struct outcome *outcome = NULL;
        int r = purchase->state == JOB_SENDING ? decide_in_doubt(progress, purchase, &outcome)
                                               : decide_unpaid(progress, purchase, &outcome);

        if (r < 0) {
                payment_release_locked(progress->from->arbiter, purchase);
                purchase_drop(purchase);
                return r;
        }
        return entry_restore(progress->from->scheduler, purchase, outcome, clock_wall_ms());
}

/* What was reserved before the start is reserved by now, so it shows what is left. */
static int decide_all_later(struct progress *progress)
{
        int r = 0;

        while (progress->later) {
                struct purchase *purchase = progress->later;
                DL_DELETE2(progress->later, purchase, queue_prev, queue_next);
                if (r == 0)
                        r = decide_later(progress, purchase);
                else
                        purchase_drop(purchase);
        }
        return r;
}

/* ---- what was accepted ---- */

/* Whether jobs are sent to an upstream and asked for at this place. */
static bool is_at(const struct config_upstream *upstream, const char *wanted)
{
        char place[ACCOUNT_PLACE_BYTES_MAX];

        account_place(upstream->url, upstream->api, place);
        return strcmp(wanted, place) == 0;
}

/*
 * An upstream that was renamed has its jobs still: one of the same place is asked for what was
 * taken there. The id is the service's, so it tells no other job's result, whatever account asks.
 * Returns 0 or -ENOMEM.
 */
static int follow_renamed(const struct config *config, struct purchase *purchase)
{
        const struct config_upstream *named = upstream_named(config, purchase->upstream);

        if (!purchase->asked_at || (named && is_at(named, purchase->asked_at)))
                return 0;
        for (size_t i = 0; i < config->upstreams_count; i++) {
                const struct config_upstream *upstream = &config->upstreams[i];
                if (!is_at(upstream, purchase->asked_at))
                        continue;
                char *name = strdup(upstream->name);
                if (!name)
                        return -ENOMEM;
                free(purchase->upstream);
                purchase->upstream = name;
                return 0;
        }
        return 0;
}

/* Why it cannot be asked for any more: what is there under that name now has not taken it. */
static const char *unaskable(const struct config *config, const struct purchase *purchase)
{
        const struct config_upstream *upstream = upstream_named(config, purchase->upstream);

        if (!purchase->upstream_id || !upstream)
                return "the upstream that took the job is not in the configuration any more, so "
                       "its result cannot be asked for; it was charged";
        if (purchase->asked_at && !is_at(upstream, purchase->asked_at))
                return "the upstream that took the job has another url or api in the configuration "
                       "now, so its result cannot be asked for; it was charged";
        return NULL;
}

static int decide_accepted(struct progress *progress, struct purchase *purchase,
                           struct outcome **ret_outcome)
{
        int r = follow_renamed(progress->from->config, purchase);
        const char *why = r == 0 ? unaskable(progress->from->config, purchase) : NULL;

        if (r < 0)
                return r;
        if (why)
                return end_unknown(progress, purchase, why, STORE_CHARGE_NONE, ret_outcome);
        progress->accepted++;
        return 0;
}

/* ---- reading ---- */

static int find_flow(const struct progress *progress, struct job *job)
{
        struct client *client = clients_need(progress->from->clients, job->client);

        if (!client)
                return -ENOMEM;
        job->flow = &client->flow;
        return 0;
}

/* What becomes of one that is not final. */
static int decide(struct progress *progress, struct purchase *purchase,
                  struct outcome **ret_outcome, bool *ret_later)
{
        switch (purchase->state) {
        case JOB_QUEUED:
                return decide_queued(progress, purchase, ret_outcome, ret_later);
        case JOB_SENDING:
                return decide_sending(progress, purchase, ret_outcome, ret_later);
        case JOB_ACCEPTED:
                return decide_accepted(progress, purchase, ret_outcome);
        case JOB_SOLVED:
        case JOB_FAILED:
        case JOB_CANCELLED:
        case JOB_UNKNOWN:
                break;
        }
        return -EINVAL;
}

static int find_flows(const struct progress *progress, const struct purchase *purchase)
{
        struct job *job;
        int r = 0;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (r == 0)
                        r = find_flow(progress, job);
        }
        return r;
}

static int on_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                       int64_t finished_wall_ms)
{
        struct progress *progress = arg;
        bool later = false;
        int r = find_flows(progress, purchase);

        if (job_state_final(purchase->state)) {
                progress->final++;
        } else if (r == 0) {
                r = decide(progress, purchase, &outcome, &later);
                finished_wall_ms = clock_wall_ms();
        }
        if (r < 0) {
                outcome_unref(outcome);
                purchase_drop(purchase);
                return r;
        }
        if (later) {
                DL_APPEND2(progress->later, purchase, queue_prev, queue_next);
                return 0;
        }
        return entry_restore(progress->from->scheduler, purchase, outcome, finished_wall_ms);
}

static int on_ended(void *arg, struct job *job, struct outcome *outcome, int64_t finished_wall_ms)
{
        struct progress *progress = arg;
        int r = find_flow(progress, job);

        if (r < 0) {
                job_unref(job);
                outcome_unref(outcome);
                return r;
        }
        return entry_restore_ended(progress->from->scheduler, job, outcome, finished_wall_ms);
}

/* What clients have used of their limits, before anything is reserved. */
static void on_usage_row(void *arg, const struct store_usage_row *row)
{
        struct progress *progress = arg;
        struct client *client = clients_need(progress->from->clients, row->client);

        if (client)
                quota_restore(&client->quota, row->day, row->count, quota_now());
        else
                progress->no_memory = true;
}

static int read_usage(struct progress *progress)
{
        int r = store_usage(progress->from->store, progress->from->filter, on_usage_row, progress);

        return progress->no_memory ? -ENOMEM : r;
}

static void on_ledger_row(void *arg, const struct store_ledger_row *row)
{
        struct progress *progress = arg;

        charges_add(progress->from->charges, row->client, row->upstream,
                    row->charge == STORE_CHARGE_CHARGED ? row->count : 0,
                    row->charge == STORE_CHARGE_UNKNOWN ? row->count : 0);
}

static void on_progress(void *arg, int64_t done, int64_t all)
{
        struct progress *progress = arg;

        recover_progress_note(&progress->shown, done, all, clock_monotonic_ms());
}

/* What was found. */
static void tell(const struct progress *progress)
{
        const struct log_field fields[] = {
                LOG_TEXT("directory", progress->from->config->state_directory),
                LOG_INTEGER("waiting", (int64_t)progress->waiting),
                LOG_INTEGER("accepted", (int64_t)progress->accepted),
                LOG_INTEGER("cancelled", (int64_t)progress->cancelled),
                LOG_INTEGER("unknown", (int64_t)progress->unknown),
                LOG_INTEGER("final", (int64_t)progress->final),
        };

        log_event(LOG_LEVEL_INFO, "store", fields, sizeof fields / sizeof *fields);
}

int recover(const struct recovery *recovery, struct strbuf *problem)
{
        struct progress progress = {.from = recovery};
        const struct store_visitor visitor = {
                .purchase = on_purchase,
                .ended = on_ended,
                .arg = &progress,
                .bytes_max = READ_TIMES * recovery->config->results.bytes,
                .progress = on_progress,
        };
        int64_t kept_since_ms = clock_wall_ms() - recovery->config->results.ttl_ms;

        recover_progress_begin(&progress.shown, recovery->hook, clock_monotonic_ms());
        int r = recover_lost(recovery->store, recovery->audit, recovery->config, problem);

        if (r == 0)
                r = read_usage(&progress);
        if (r == 0)
                r = store_load(recovery->store, recovery->filter, kept_since_ms, &visitor, problem);
        int later = decide_all_later(&progress);
        if (r == 0)
                r = later;
        /* By now what was open is unknown. */
        if (r == 0)
                r = store_ledger(recovery->store, recovery->filter, on_ledger_row, &progress);
        if (r == 0)
                tell(&progress);
        return r;
}
