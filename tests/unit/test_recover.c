/*
 * What a start makes of jobs that may have been charged before it.
 */
#include "access/clients.h"
#include "access/policy.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "dispatch/arbiter.h"
#include "dispatch/arbiter_local.h"
#include "dispatch/charges.h"
#include "dispatch/journal.h"
#include "dispatch/scheduler.h"
#include "gateway/recover.h"
#include "job/results.h"
#include "job/retention.h"
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_MS 600000 /* does not pass in a test */

/* A gateway's parts with one upstream and two clients; the scheduler stores nothing. */
struct engine {
        struct config config;
        struct config_upstream upstream;
        struct config_client client_list[2];
        struct config_site site;
        struct accounts accounts;
        struct results *results;
        struct charges *charges;
        struct clients *clients;
        struct policy *policy;
        struct audit *audit;
        struct scheduler *scheduler;
        struct arbiter *arbiter;
        char audit_file[96];
};

static void configure(struct engine *engine)
{
        static char names[2][2] = {"a", "b"}, digests[2][65];
        static char upstream[] = "pro", url[] = "https://up", credential[] = "c";
        static char host[] = "a.example";

        for (size_t i = 0; i < 2; i++) {
                memset(digests[i], '1' + (int)i, sizeof digests[i] - 1);
                engine->client_list[i] = (struct config_client){
                        .name = names[i], .token_sha256 = digests[i], .weight = 1};
        }
        engine->upstream = (struct config_upstream){.name = upstream,
                                                    .url = url,
                                                    .api = 1,
                                                    .credential = credential,
                                                    .max_in_flight = 2};
        engine->site = (struct config_site){.site = host, .until_ms = INT64_MAX};
        engine->config.upstreams = &engine->upstream;
        engine->config.upstreams_count = 1;
        engine->config.clients = engine->client_list;
        engine->config.clients_count = 2;
        engine->config.sites.allow.items = &engine->site;
        engine->config.sites.allow.count = 1;
        engine->config.audit.file = engine->audit_file;
        engine->config.limits.queue_jobs = 10;
        engine->config.limits.job_deadline_ms = LONG_MS;
        engine->config.results.ttl_ms = LONG_MS;
        engine->config.results.bytes = 1 << 20;
        engine->config.retry.attempts = 10;
        engine->config.retry.on_unknown = ON_UNKNOWN_RETRY;
}

static void put_in_force(struct engine *engine)
{
        struct scheduler_upstream upstream = {.spare = calloc(1, sizeof *upstream.spare)};

        assert_non_null(upstream.spare);
        assert_int_equal(account_new(engine->upstream.name, &upstream.account), 0);
        accounts_add(&engine->accounts, upstream.account);
        assert_int_equal(account_terms_new(&engine->upstream, NULL, &upstream.terms), 0);
        scheduler_reconfigure(engine->scheduler, &engine->config, &upstream, 1);
        account_terms_unref(upstream.terms);
        free(upstream.spare);
}

static void open_engine(const struct fixture *f, struct engine *engine)
{
        struct strbuf problem;

        log_init(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
        configure(engine);
        (void)snprintf(engine->audit_file, sizeof engine->audit_file, "%s/audit", f->directory);
        strbuf_init(&problem, 1000);
        assert_int_equal(audit_open(engine->audit_file, &engine->audit, &problem), 0);
        assert_int_equal(clients_new(&engine->clients), 0);
        assert_int_equal(charges_new(&engine->charges), 0);
        assert_int_equal(policy_new(&engine->config, engine->clients, &engine->policy), 0);
        const struct results_setup results = {.ttl_ms = LONG_MS, .max_bytes = 1 << 20};
        assert_int_equal(results_new(&results, &engine->results), 0);
        assert_int_equal(arbiter_local_new(engine->results, &engine->arbiter), 0);
        const struct scheduler_setup setup = {
                .accounts = &engine->accounts,
                .results = engine->results,
                .arbiter = engine->arbiter,
                .charges = engine->charges,
        };
        assert_int_equal(scheduler_new(&setup, &engine->scheduler), 0);
        put_in_force(engine);
        scheduler_apply(engine->scheduler, engine->policy);
}

static void close_engine(struct engine *engine)
{
        scheduler_free(engine->scheduler);
        arbiter_free(engine->arbiter);
        accounts_done(&engine->accounts);
        results_free(engine->results);
        charges_free(engine->charges);
        policy_unref(engine->policy);
        clients_free(engine->clients);
        audit_close(engine->audit);
}

/* Starts over the files that the store has left. */
static void start_again(struct fixture *f, struct engine *engine)
{
        struct strbuf problem;

        close_store(f);
        strbuf_init(&problem, 1000);
        if (sqlite_store_open(f->directory, &f->store, &problem) < 0)
                fail_msg("%s", problem.data);
        const struct recovery recovery = {
                .store = f->store,
                .audit = engine->audit,
                .config = &engine->config,
                .policy = engine->policy,
                .clients = engine->clients,
                .scheduler = engine->scheduler,
                .arbiter = engine->arbiter,
                .charges = engine->charges,
        };
        if (recover(&recovery, &problem) < 0)
                fail_msg("%s", problem.data);
}

static void on_final(void *arg, int error)
{
        bool *told = arg;

        *told = error == 0;
}

/* Sends what waits; it is refused, and surely not charged. */
static void send_and_be_refused(struct fixture *f, struct engine *engine)
{
        struct scheduler_turn turn;
        int64_t again_ms;
        bool told = false;

        assert_true(scheduler_take(engine->scheduler, NULL, &turn, &again_ms));
        const struct journal journal = {engine->scheduler, f->loop, turn.purchase, turn.account};
        scheduler_release(engine->scheduler, &turn);
        journal_final(&journal, outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, "no"),
                      STORE_CHARGE_NOT_CHARGED, on_final, &told);
        assert_true(told);
        scheduler_land(engine->scheduler, turn.purchase);
}

static void expect_paid(struct engine *engine, const char *id, bool paid)
{
        struct job *job = results_find(engine->results, id);

        assert_non_null(job);
        assert_true(job_state_final(results_state(engine->results, job)));
        assert_int_equal(retention_is_paid(job), paid);
        job_unref(job);
}

/* A purchase of a job of each client, which waits; the IDs are copied. */
static struct purchase *write_two(struct fixture *f, char ret_ids[2][JOB_ID_CHARS + 1])
{
        struct purchase *purchase = new_purchase(f);

        for (int i = 0; i < 2; i++) {
                const struct job *job = add_job(purchase, i == 0 ? "a" : "b", NULL);
                memcpy(ret_ids[i], job->id, sizeof ret_ids[i]);
        }
        assert_int_equal(write_queued(f, purchase), 0);
        return purchase;
}

static void a_job_that_waits_again_in_doubt_stays_paid(void **state)
{
        struct fixture *f = *state;
        struct engine engine = {0};
        char ids[2][JOB_ID_CHARS + 1];
        struct purchase *purchase = write_two(f, ids);

        assert_int_equal(write_sending(f, purchase), 0);
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_QUEUED);
        record->charge = STORE_CHARGE_UNKNOWN;
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        open_engine(f, &engine);
        start_again(f, &engine);
        send_and_be_refused(f, &engine);
        expect_paid(&engine, ids[0], true);
        expect_paid(&engine, ids[1], false);
        close_engine(&engine);
}

/* The next try is paid by the other client. */
static void a_job_whose_sending_a_crash_has_cut_off_stays_paid(void **state)
{
        const struct quota_limits limits = {.daily = 1};
        struct fixture *f = *state;
        struct engine engine = {0};
        char ids[2][JOB_ID_CHARS + 1];
        struct purchase *purchase = write_two(f, ids);

        assert_int_equal(write_sending(f, purchase), 0);
        purchase_drop(purchase);
        open_engine(f, &engine);
        struct client *payer = clients_need(engine.clients, "a");
        quota_set_limits(&payer->quota, &limits, quota_now());
        start_again(f, &engine);
        send_and_be_refused(f, &engine);
        expect_paid(&engine, ids[0], true);
        expect_paid(&engine, ids[1], false);
        close_engine(&engine);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(a_job_that_waits_again_in_doubt_stays_paid),
                ON_STORE(a_job_whose_sending_a_crash_has_cut_off_stays_paid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
