/*
 * gateway_service: see gateway_service.h.
 */
#include "gateway/gateway_service.h"

#include "access/clients.h"
#include "access/policy.h"
#include "access/throttle.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "dispatch/arbiter.h"
#include "dispatch/charges.h"
#include "dispatch/entry.h"
#include "dispatch/scheduler.h"
#include "forward/forward.h"
#include "forward/forwarder.h"
#include "gateway/balance.h"
#include "gateway/gateway.h"
#include "gateway/gateway_private.h"
#include "gateway/gateway_reload.h"
#include "gateway/gateway_stats.h"
#include "gateway/gateway_sweep.h"
#include "gateway/recover.h"
#include "job/parser.h"
#include "job/results.h"
#include "store/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A tick that is later than this follows a pause of the whole process. Workers then have so much
 * time to read what has arrived meanwhile, before jobs end for being late. */
#define STOPPED_MS       2000
#define STOPPED_GRACE_MS 1000

/* Jobs that nobody can ask for any more need not be on disk either. */
static void on_forgotten(void *arg, struct job *gone)
{
        const struct gateway *gateway = arg;
        struct job *job;

        DL_FOREACH2 (gone, job, expiry_next)
                arbiter_forget(gateway->arbiter, job);
        if (gateway->store)
                (void)store_forget(gateway->store, gone); /* or the next start does */
}

static int make_scheduler(struct gateway *gateway, const struct config *config,
                          const struct gateway_backends *backends)
{
        struct results_setup results = {
                .ttl_ms = config->results.ttl_ms,
                .max_bytes = config->results.bytes,
                .forget = on_forgotten,
                .arg = gateway,
        };
        int r = results_new(&results, &gateway->results);

        if (r == 0)
                r = backends->make_arbiter(gateway->results, &gateway->arbiter);
        if (r == 0)
                r = charges_new(&gateway->charges);
        if (r < 0)
                return r;
        struct scheduler_setup setup = {
                .accounts = &gateway->accounts,
                .results = gateway->results,
                .arbiter = gateway->arbiter,
                .store = gateway->store,
                .charges = gateway->charges,
                .audit = gateway->audit,
        };
        r = scheduler_new(&setup, &gateway->scheduler);
        if (r == 0)
                r = balances_new(&gateway->accounts, gateway->scheduler, &gateway->balances);
        return r;
}

/* ---- the audit ---- */

static int on_audit_entry(void *arg, int64_t number, const char *text)
{
        const struct gateway *gateway = arg;

        return audit_entry(gateway->audit, number, text);
}

static int64_t on_last_entry(void *arg)
{
        const struct gateway *gateway = arg;

        return audit_last_entry(gateway->audit);
}

static void on_audit_flush(void *arg)
{
        const struct gateway *gateway = arg;

        audit_flush(gateway->audit);
}

static void connect_audit(struct gateway *gateway)
{
        const struct store_audit audit = {
                .entry = on_audit_entry,
                .last_entry = on_last_entry,
                .flush = on_audit_flush,
                .arg = gateway,
        };

        if (gateway->store)
                store_set_audit(gateway->store, &audit);
}

/* Who may call. */
static int make_access(struct gateway *gateway)
{
        int r = clients_new(&gateway->clients);

        if (r == 0)
                r = throttle_new(&gateway->throttle);
        if (r == 0)
                r = parser_new(&gateway->parser);
        return r;
}

/* Takes up what the store has kept. */
static int take_up(struct gateway *gateway, const struct recover_hook *hook, struct strbuf *problem)
{
        const struct recovery recovery = {
                .store = gateway->store,
                .audit = gateway->audit,
                .config = gateway_config(gateway),
                .policy = gateway->policy,
                .clients = gateway->clients,
                .scheduler = gateway->scheduler,
                .arbiter = gateway->arbiter,
                .charges = gateway->charges,
                .hook = hook,
        };

        return gateway->store ? recover(&recovery, problem) : 0;
}

static int open_all(struct gateway *gateway, const struct config *config,
                    const struct gateway_backends *backends, struct strbuf *problem)
{
        int r = make_access(gateway);

        connect_audit(gateway);
        if (r == 0)
                r = audit_open(config->audit.file, &gateway->audit, problem);
        if (r == 0)
                r = make_scheduler(gateway, config, backends);
        return r;
}

int gateway_new(const struct config *config, const struct gateway_backends *backends,
                struct credential **credentials, const struct recover_hook *hook,
                struct strbuf *problem, struct gateway **ret_gateway)
{
        struct gateway *gateway = calloc(1, sizeof *gateway);
        struct gateway_change *change = NULL;

        if (!gateway) {
                (void)store_close(backends->store);
                return -ENOMEM;
        }
        gateway->store = backends->store;
        config_put(&gateway->config, config);
        int r = open_all(gateway, config, backends, problem);
        if (r == 0)
                r = gateway_prepare(gateway, config, credentials, problem, &change);
        if (r == 0) {
                gateway_apply(gateway, change);
                balances_begin(gateway->balances);
                gateway_change_free(change);
                r = take_up(gateway, hook, problem);
        }
        if (r < 0) {
                gateway_free(gateway);
                return r;
        }
        *ret_gateway = gateway;
        return 0;
}

int gateway_start(struct gateway *gateway)
{
        int r = audit_start(gateway->audit);

        if (r == 0 && gateway->store)
                r = store_start(gateway->store);
        return r;
}

/* Says what the next start does not find, unless the files are put back. */
static void log_detached(const struct gateway *gateway)
{
        const char *directory = gateway_config(gateway)->state_directory;
        char problem[GATEWAY_STORE_PROBLEM_BYTES_MAX];

        if (!gateway->store)
                return;
        store_look(gateway->store);
        if (!store_detached(gateway->store))
                return;
        gateway_store_problem(gateway, problem);
        problem[strcspn(problem, ":")] = '\0';
        switch (store_loss(gateway->store)) {
        case STORE_LOSES_NOTHING:
                log_info("stopped while %s in %s: everything is saved", problem, directory);
                break;
        case STORE_LOSES_FILES:
                log_error("stopped while %s in %s: put back what was taken away before the next "
                          "start, or all that is in it is lost",
                          problem, directory);
                break;
        case STORE_LOSES_BODIES:
                log_error("stopped while %s in %s: jobs that waited were cancelled", problem,
                          directory);
                break;
        case STORE_LOSES_ROWS:
                log_error("stopped while %s in %s: all jobs and results are lost, and what clients "
                          "have used; the audit has the charges",
                          problem, directory);
                break;
        }
}

void gateway_free(struct gateway *gateway)
{
        if (!gateway)
                return;
        log_detached(gateway);
        size_t lost = store_close(gateway->store);
        if (lost > 0)
                log_error("%zu records could not be written to %s; the jobs that they are about "
                          "go on from what was written before",
                          lost, gateway_config(gateway)->state_directory);
        gateway->store = NULL;
        audit_close(gateway->audit); /* after the store, which gives it entries */
        balances_free(gateway->balances);
        arbiter_close(gateway->arbiter);
        scheduler_free(gateway->scheduler);
        arbiter_free(gateway->arbiter);
        if (gateway->results)
                gateway_sweep_done(gateway);
        results_free(gateway->results);
        charges_free(gateway->charges);
        policy_unref(gateway->policy);
        throttle_free(gateway->throttle);
        parser_free(gateway->parser);
        clients_free(gateway->clients);
        accounts_done(&gateway->accounts);
        free(gateway);
}

/* ---- the parts ---- */

struct policy *gateway_policy(struct gateway *gateway)
{
        return gateway->policy;
}

void gateway_reopen_audit(struct gateway *gateway)
{
        audit_reopen(gateway->audit);
}

/* ---- the tick ---- */

static enum gateway_store_state store_state(const struct gateway *gateway)
{
        if (!gateway->store || store_healthy(gateway->store))
                return GATEWAY_STORE_HEALTHY;
        return store_detached(gateway->store) ? GATEWAY_STORE_DETACHED : GATEWAY_STORE_FAILING;
}

/* Logs once when the store fails or is detached, and when it is healthy again. */
static void watch_store(struct gateway *gateway)
{
        const char *directory = gateway_config(gateway)->state_directory;
        enum gateway_store_state state = store_state(gateway);
        char problem[GATEWAY_STORE_PROBLEM_BYTES_MAX];

        if (gateway->store && store_lock_was_made(gateway->store))
                log_warning(
                        "store %s: the file lock was removed or replaced, and was created again",
                        directory);
        if (state == gateway->store_state)
                return;
        gateway_store_problem(gateway, problem);
        switch (state) {
        case GATEWAY_STORE_HEALTHY:
                log_info(gateway->store_state == GATEWAY_STORE_DETACHED
                                 ? "store %s: all files are there again, jobs are accepted"
                                 : "store %s: written again",
                         directory);
                break;
        case GATEWAY_STORE_FAILING:
                log_error("store %s cannot be written: %s; no job is taken or sent until it can",
                          directory, problem);
                break;
        case GATEWAY_STORE_DETACHED:
                log_error("store %s: %s; no job is accepted or sent until then", directory,
                          problem);
                break;
        }
        gateway->store_state = state;
}

/* Its charges stay in the ledger, but the chain of the new file begins in the middle. */
static void log_audit_removals(struct gateway *gateway)
{
        unsigned removals = audit_removals(gateway->audit);

        if (removals != gateway->audit_removals)
                log_warning("audit %s was removed; a new file goes on with the next entry; if it "
                            "was removed by mistake, restore it beside the new one",
                            gateway_config(gateway)->audit.file);
        gateway->audit_removals = removals;
}

/* The same of the audit; one that is well may still be unable to begin a new file. */
static void watch_audit(struct gateway *gateway)
{
        char problem[AUDIT_PROBLEM_BYTES_MAX];

        log_audit_removals(gateway);
        bool healthy = audit_healthy(gateway->audit);

        audit_problem(gateway->audit, problem, sizeof problem);
        if (healthy == !gateway->audit_sick && strcmp(problem, gateway->audit_told) == 0)
                return;
        if (!healthy)
                log_error("audit %s cannot be written: %s; no job is taken or sent until it can",
                          gateway_config(gateway)->audit.file, problem);
        else if (problem[0] != '\0')
                log_error("audit %s: %s; the old file is written on",
                          gateway_config(gateway)->audit.file, problem);
        else
                log_info("audit %s: well again", gateway_config(gateway)->audit.file);
        gateway->audit_sick = !healthy;
        (void)snprintf(gateway->audit_told, sizeof gateway->audit_told, "%s", problem);
}

void gateway_tick(struct gateway *gateway, struct loop *loop)
{
        int64_t now_ms = clock_monotonic_ms();

        watch_store(gateway);
        watch_audit(gateway);
        /* A full disk may recover soon; files that were taken away hardly come back. */
        if (gateway->store_state == GATEWAY_STORE_DETACHED)
                entry_withdraw_unkept(gateway->scheduler, loop);
        if (gateway->ticked_ms > 0 && now_ms - gateway->ticked_ms > STOPPED_MS)
                gateway->expire_from_ms = now_ms + STOPPED_GRACE_MS;
        gateway->ticked_ms = now_ms;
        if (now_ms >= gateway->expire_from_ms)
                entry_expire(gateway->scheduler, loop, now_ms);
        scheduler_forget_retired(gateway->scheduler);
}

void gateway_drain(struct gateway *gateway, struct loop *loop, struct mail *idle)
{
        if (gateway->store)
                store_look(gateway->store); /* what becomes of the jobs depends on it */
        /* They would be charged, and few would still be asked for. */
        if (!scheduler_drain(gateway->scheduler, loop, idle))
                entry_cancel_waiting(gateway->scheduler, loop);
}

bool gateway_writes(struct gateway *gateway)
{
        return scheduler_writes(gateway->scheduler);
}

void gateway_log_unfinished(struct gateway *gateway)
{
        struct gateway_stats stats;

        gateway_stats(gateway, &stats);
        if (gateway_config(gateway)->durability == DURABILITY_FULL)
                log_warning("limits.drain_timeout has passed with %zu waiting and %lld in flight: "
                            "these jobs go on at the next start, but for what is just being sent, "
                            "which ends as outcome_unknown",
                            stats.jobs.queued_jobs, (long long)stats.in_flight);
        else
                log_warning("limits.drain_timeout has passed with %lld in flight: these jobs end "
                            "now, since durability is \"none\"",
                            (long long)stats.in_flight);
}

void gateway_give_up(struct gateway *gateway)
{
        scheduler_give_up(gateway->scheduler);
        if (!gateway->store)
                return;
        store_look(gateway->store);
        store_give_up(gateway->store);
}

/* ---- on a worker's loop ---- */

int gateway_new_forwarder(struct gateway *gateway, struct loop *loop,
                          struct forwarder **ret_forwarder)
{
        const struct forwarder_setup setup = {
                .config = &gateway->config,
                .loop = loop,
                .scheduler = gateway->scheduler,
                .store = gateway->store,
                .bodies = &gateway->bodies,
        };

        return forwarder_new(&setup, ret_forwarder);
}

void gateway_free_forwarder(struct forwarder *forwarder)
{
        forwarder_free(forwarder);
}

void gateway_resume(struct forwarder *forwarder)
{
        forwarder_resume(forwarder);
}

void gateway_begin(struct gateway *gateway, struct forwarder *forwarder, bool is_first)
{
        if (is_first) {
                balances_refresh(gateway->balances, forwarder, BALANCE_BY_THE_CLOCK);
                parser_start(gateway->parser, forwarder_loop(forwarder));
        }
        forwarder_kick(forwarder);
}

void gateway_kick(struct forwarder *forwarder)
{
        forwarder_kick(forwarder);
}

void gateway_renew(struct gateway *gateway, struct forwarder *forwarder, bool is_first)
{
        forwarder_renew_connections(forwarder);
        if (is_first)
                balances_ask_forgotten(gateway->balances, forwarder);
}

void gateway_abort(struct forwarder *forwarder)
{
        forwarder_abort(forwarder);
}
