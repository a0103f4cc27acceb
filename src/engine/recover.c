/*
 * recover: see recover.h.
 */
#include "engine/recover.h"

#include "access/sites.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/charges.h"
#include "engine/entry.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES_MAX 256

struct progress {
        const struct recovery *from;
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

/* Writes what was decided about a purchase. */
static int write_decision(struct progress *progress, struct purchase *purchase,
                          struct outcome *outcome, enum store_charge charge)
{
        struct store_record *record = store_record_new();

        if (!record)
                return -ENOMEM;
        record->must = true;
        record->move = STORE_PURCHASE_MOVE;
        record->purchase = purchase_ref(purchase);
        record->state = purchase->state;
        record->outcome = outcome ? outcome_ref(outcome) : NULL;
        record->charge = charge;
        store_write(progress->from->store, record);
        return 0;
}

static int end(struct progress *progress, struct purchase *purchase, struct outcome *outcome,
               enum store_charge charge, struct outcome **ret_outcome)
{
        /* Each that may have cost money, or is not what its owner expects. */
        log_warning("job %s %s site=%s upstream=%s: %s",
                    purchase->jobs ? purchase->jobs->id : "without id",
                    job_error_code(outcome->error), purchase->host ? purchase->host : "",
                    purchase->upstream ? purchase->upstream : "",
                    outcome->text ? outcome->text : "");
        purchase->state = outcome->state;
        int r = write_decision(progress, purchase, outcome, charge);
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

/* The list of sites may have become shorter. */
static int decide_waiting(struct progress *progress, struct purchase *purchase,
                          struct outcome **ret_outcome)
{
        char message[MESSAGE_BYTES_MAX];

        if (purchase->host && sites_allow(progress->from->sites, purchase->host)) {
                progress->waiting++;
                return 0;
        }
        (void)snprintf(message, sizeof message,
                       "the site is not on the allow-list any more, so the job was not sent%s; %s",
                       purchase->doubtful ? " again" : "", purchase_charge_note(purchase));
        /* Cancelled means: never sent. */
        if (purchase->doubtful)
                return end_unknown(progress, purchase, message, STORE_CHARGE_NONE, ret_outcome);
        progress->cancelled++;
        return end(progress, purchase, outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, message),
                   STORE_CHARGE_NONE, ret_outcome);
}

static int decide_sending(struct progress *progress, struct purchase *purchase,
                          struct outcome **ret_outcome)
{
        if (progress->from->config->retry.on_unknown == ON_UNKNOWN_RETRY && purchase->body_stored &&
            purchase->attempts < progress->from->config->retry.attempts) {
                purchase->state = JOB_QUEUED;
                purchase->sent_stored = false;
                int r = write_decision(progress, purchase, NULL, STORE_CHARGE_UNKNOWN);
                return r < 0 ? r : decide_waiting(progress, purchase, ret_outcome);
        }
        return end_unknown(progress, purchase,
                           "solvegate ended while it sent the job, which may have been charged, so "
                           "it was not sent again",
                           STORE_CHARGE_UNKNOWN, ret_outcome);
}

static int decide_accepted(struct progress *progress, struct purchase *purchase,
                           struct outcome **ret_outcome)
{
        if (purchase->upstream_id && upstream_named(progress->from->config, purchase->upstream)) {
                progress->accepted++;
                return 0;
        }
        return end_unknown(progress, purchase,
                           "the upstream that took the job is not in the configuration any more, "
                           "so its result cannot be asked for; it was charged",
                           STORE_CHARGE_NONE, ret_outcome);
}

static int on_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                       int64_t finished_wall_ms)
{
        struct progress *progress = arg;
        int r = 0;

        switch (purchase->state) {
        case JOB_QUEUED:
                r = decide_waiting(progress, purchase, &outcome);
                finished_wall_ms = clock_wall_ms();
                break;
        case JOB_SENDING:
                r = decide_sending(progress, purchase, &outcome);
                finished_wall_ms = clock_wall_ms();
                break;
        case JOB_ACCEPTED:
                r = decide_accepted(progress, purchase, &outcome);
                finished_wall_ms = clock_wall_ms();
                break;
        case JOB_SOLVED:
        case JOB_FAILED:
        case JOB_CANCELLED:
        case JOB_UNKNOWN:
                progress->final++;
                break;
        }
        if (r < 0) {
                purchase_unref(purchase);
                return r;
        }
        return entry_restore(progress->from->scheduler, purchase, outcome, finished_wall_ms);
}

static int on_ended(void *arg, struct job *job, struct outcome *outcome, int64_t finished_wall_ms)
{
        struct progress *progress = arg;

        return entry_restore_ended(progress->from->scheduler, job, outcome, finished_wall_ms);
}

static void on_ledger_row(void *arg, const struct store_ledger_row *row)
{
        struct progress *progress = arg;

        charges_add(progress->from->charges, row->client, row->upstream,
                    row->charge == STORE_CHARGE_CHARGED ? row->count : 0,
                    row->charge == STORE_CHARGE_UNKNOWN ? row->count : 0);
}

int recover(const struct recovery *recovery, struct strbuf *problem)
{
        struct progress progress = {.from = recovery};
        struct store_visitor visitor = {on_purchase, on_ended, &progress};
        int64_t kept_since_ms = clock_wall_ms() - recovery->config->results.ttl_ms;
        int r = store_load(recovery->store, kept_since_ms, &visitor, problem);

        /* By now what was open is unknown. */
        if (r == 0)
                r = store_ledger(recovery->store, on_ledger_row, &progress);
        if (r == 0)
                log_info("store %s: waiting=%zu accepted=%zu cancelled=%zu unknown=%zu final=%zu",
                         recovery->config->state_directory, progress.waiting, progress.accepted,
                         progress.cancelled, progress.unknown, progress.final);
        return r;
}
