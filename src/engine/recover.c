/*
 * recover: see recover.h.
 */
#include "engine/recover.h"

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
#include <stdbool.h>
#include <string.h>

struct recovery {
        struct store *store;
        const struct config *config;
        struct scheduler *scheduler;
        struct charges *charges;
        size_t waiting, accepted, unknown, final; /* purchases */
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
static int write_decision(struct recovery *recovery, struct purchase *purchase,
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
        store_write(recovery->store, record);
        return 0;
}

static int end_unknown(struct recovery *recovery, struct purchase *purchase, const char *message,
                       enum store_charge charge, struct outcome **ret_outcome)
{
        struct outcome *outcome = outcome_failed(JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, message);

        purchase->state = JOB_UNKNOWN;
        recovery->unknown++;
        int r = write_decision(recovery, purchase, outcome, charge);
        if (r < 0) {
                outcome_unref(outcome);
                return r;
        }
        *ret_outcome = outcome;
        return 0;
}

static int decide_sending(struct recovery *recovery, struct purchase *purchase,
                          struct outcome **ret_outcome)
{
        if (recovery->config->retry.on_unknown == ON_UNKNOWN_RETRY && purchase->body_stored) {
                purchase->state = JOB_QUEUED;
                purchase->sent_stored = false;
                recovery->waiting++;
                return write_decision(recovery, purchase, NULL, STORE_CHARGE_UNKNOWN);
        }
        return end_unknown(recovery, purchase,
                           "solvegate ended while it sent the job, which may have been charged, so "
                           "it was not sent again",
                           STORE_CHARGE_UNKNOWN, ret_outcome);
}

static int decide_accepted(struct recovery *recovery, struct purchase *purchase,
                           struct outcome **ret_outcome)
{
        if (purchase->upstream_id && upstream_named(recovery->config, purchase->upstream)) {
                recovery->accepted++;
                return 0;
        }
        return end_unknown(recovery, purchase,
                           "the upstream that took the job is not in the configuration any more, "
                           "so its result cannot be asked for; it was charged",
                           STORE_CHARGE_NONE, ret_outcome);
}

static int on_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                       int64_t finished_wall_ms)
{
        struct recovery *recovery = arg;
        int r = 0;

        switch (purchase->state) {
        case JOB_QUEUED:
                recovery->waiting++;
                break;
        case JOB_SENDING:
                r = decide_sending(recovery, purchase, &outcome);
                finished_wall_ms = clock_wall_ms();
                break;
        case JOB_ACCEPTED:
                r = decide_accepted(recovery, purchase, &outcome);
                finished_wall_ms = clock_wall_ms();
                break;
        case JOB_SOLVED:
        case JOB_FAILED:
        case JOB_CANCELLED:
        case JOB_UNKNOWN:
                recovery->final++;
                break;
        }
        if (r < 0) {
                purchase_unref(purchase);
                return r;
        }
        return entry_restore(recovery->scheduler, purchase, outcome, finished_wall_ms);
}

static int on_ended(void *arg, struct job *job, struct outcome *outcome, int64_t finished_wall_ms)
{
        struct recovery *recovery = arg;

        return entry_restore_ended(recovery->scheduler, job, outcome, finished_wall_ms);
}

static void on_ledger_row(void *arg, const struct store_ledger_row *row)
{
        struct recovery *recovery = arg;

        charges_add(recovery->charges, row->client, row->upstream,
                    row->charge == STORE_CHARGE_CHARGED ? row->count : 0,
                    row->charge == STORE_CHARGE_UNKNOWN ? row->count : 0);
}

int recover(struct store *store, const struct config *config, struct scheduler *scheduler,
            struct charges *charges, struct strbuf *problem)
{
        struct recovery recovery = {
                .store = store, .config = config, .scheduler = scheduler, .charges = charges};
        struct store_visitor visitor = {on_purchase, on_ended, &recovery};
        int r = store_load(store, clock_wall_ms() - config->results.ttl_ms, &visitor, problem);

        /* By now what was open is unknown. */
        if (r == 0)
                r = store_ledger(store, on_ledger_row, &recovery);
        if (r == 0)
                log_info("store %s: waiting=%zu accepted=%zu unknown=%zu final=%zu",
                         config->state_directory, recovery.waiting, recovery.accepted,
                         recovery.unknown, recovery.final);
        return r;
}
