/*
 * scheduler_fixture: see scheduler_fixture.h.
 */
#include "scheduler_fixture.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "dispatch/arbiter.h"
#include "dispatch/arbiter_local.h"
#include "dispatch/journal.h"
#include "dispatch/submission.h"
#include "store/sqlite/sqlite_store.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static void on_forgotten(void *arg, struct job *gone)
{
        struct fixture *f = arg;
        struct job *job;

        DL_FOREACH2 (gone, job, expiry_next)
                arbiter_forget(f->arbiter, job);
}

int make_engine(void **state)
{
        static char names[ACCOUNTS_MAX][8] = {"first", "second", "third"};
        static char urls[ACCOUNTS_MAX][16] = {"https://up-1", "https://up-2", "https://up-3"};
        static char credential[] = "c";
        struct fixture *f = calloc(1, sizeof *f);
        const struct results_setup setup = {
                .ttl_ms = LONG_MS, .max_bytes = 1 << 20, .forget = on_forgotten, .arg = f};

        if (!f || loop_new(&f->loop) < 0 || results_new(&setup, &f->results) < 0 ||
            arbiter_local_new(f->results, &f->arbiter) < 0 || charges_new(&f->charges) < 0 ||
            clients_new(&f->clients) < 0)
                return -1;
        log_init(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
        f->config.limits.queue_jobs = JOBS_MAX;
        f->config.limits.job_deadline_ms = DEADLINE_MS;
        f->config.retry.attempts = 100;
        f->config.retry.on_unknown = ON_UNKNOWN_RETRY;
        f->config.retry.probe_ms = LONG_MS;
        f->config.retry.recheck_ms = LONG_MS;
        for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
                f->upstreams[i] = (struct config_upstream){.name = names[i],
                                                           .url = urls[i],
                                                           .api = 1,
                                                           .credential = credential,
                                                           .max_in_flight = 2};
        }
        *state = f;
        return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
        (void)status;
        (void)type;
        (void)ftw;
        return remove(path);
}

int free_engine(void **state)
{
        struct fixture *f = *state;

        if (f->store)
                (void)store_close(f->store);
        for (size_t i = 0; i < f->flying_count; i++) {
                scheduler_release(f->scheduler, &f->flying[i]);
                scheduler_land(f->scheduler, f->flying[i].purchase);
        }
        arbiter_close(f->arbiter);
        scheduler_free(f->scheduler);
        arbiter_free(f->arbiter);
        accounts_done(&f->accounts);
        results_free(f->results);
        charges_free(f->charges);
        for (size_t i = 0; i < f->job_count; i++)
                job_unref(f->jobs[i]);
        clients_free(f->clients);
        loop_free(f->loop);
        if (f->store)
                (void)nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f);
        return 0;
}

void open_store(struct fixture *f)
{
        struct strbuf problem;

        (void)strcpy(f->directory, "/tmp/test_engine.XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        strbuf_init(&problem, 1000);
        if (sqlite_store_open(f->directory, &f->store, &problem) < 0)
                fail_msg("%s", problem.data);
        strbuf_done(&problem);
}

void open_scheduler(struct fixture *f, size_t accounts)
{
        const struct scheduler_setup setup = {
                .accounts = &f->accounts,
                .results = f->results,
                .arbiter = f->arbiter,
                .store = f->store,
                .charges = f->charges,
        };

        assert_int_equal(scheduler_new(&setup, &f->scheduler), 0);
        for (size_t i = 0; i < accounts; i++) {
                assert_int_equal(account_new(f->upstreams[i].name, &f->account[i]), 0);
                accounts_add(&f->accounts, f->account[i]);
        }
        reconfigure(f, accounts);
}

void reconfigure(struct fixture *f, size_t accounts)
{
        struct scheduler_upstream upstreams[ACCOUNTS_MAX] = {0};

        for (size_t i = 0; i < accounts; i++) {
                struct account *account = f->account[i];
                struct scheduler_upstream *upstream = &upstreams[i];
                upstream->account = account;
                upstream->spare = calloc(1, sizeof *upstream->spare);
                assert_non_null(upstream->spare);
                assert_int_equal(account_terms_new(&f->upstreams[i], NULL, &upstream->terms), 0);
                upstream->anew = account->retired ||
                                 !account_terms_same_jobs(account->terms, upstream->terms);
        }
        scheduler_reconfigure(f->scheduler, &f->config, upstreams, accounts);
        for (size_t i = 0; i < accounts; i++) {
                account_terms_unref(upstreams[i].terms);
                free(upstreams[i].spare);
        }
}

/* ---- jobs ---- */

static struct purchase *new_candidate(struct fixture *f, const char *task)
{
        struct task_identity identity = {0};
        struct purchase *purchase;

        assert_true(strlen(task) <= sizeof identity.bytes);
        memcpy(identity.bytes, task, strlen(task));
        assert_int_equal(purchase_new(++f->number, &identity, strdup("a.example"), NULL, &purchase),
                         0);
        return purchase;
}

struct client *client_named(struct fixture *f, const char *name)
{
        struct client *client = clients_need(f->clients, name);

        assert_non_null(client);
        return client;
}

static struct job *new_job(const struct order *order)
{
        static const unsigned char digest[JOB_DIGEST_BYTES];
        int64_t now_ms = clock_wall_ms();
        const struct job_parts parts = {
                .client = order->client ? order->client : "ci",
                .target_json = "\"bus\"",
                .key = order->key,
                .key_digest = digest,
                .created_wall_ms = now_ms,
                .deadline_wall_ms =
                        now_ms + (order->deadline_ms ? order->deadline_ms : DEADLINE_MS),
        };
        struct job *job;

        assert_int_equal(job_new(&parts, &job), 0);
        return job;
}

int submit_order(struct fixture *f, const struct order *order, struct job **ret_job)
{
        struct purchase *candidate = new_candidate(f, order->task);
        struct job *job = new_job(order);
        const struct submission_order submission = {
                .job = job,
                .client = client_named(f, job->client),
                .candidate = candidate,
                .fresh = order->fresh,
                .loop = f->loop,
        };
        struct submission_result result = {0};
        int r = submit_job(f->scheduler, &submission, &result, &f->pending);

        f->refused = result.refused;
        purchase_unref(candidate);
        job_unref(result.job);
        if (r < 0 && r != -EINPROGRESS) {
                job_unref(job);
                job = result.other;
        }
        if (job) {
                assert_true(f->job_count < CROWD_MAX);
                f->jobs[f->job_count++] = job;
                *ret_job = job;
        }
        return r;
}

struct job *submit(struct fixture *f, const char *task)
{
        struct job *job = NULL;

        assert_int_equal(submit_order(f, &(struct order){.task = task}, &job), 0);
        return job;
}

enum job_state state_of(struct fixture *f, struct job *job)
{
        return results_state(f->results, job);
}

const struct outcome *outcome_of(struct fixture *f, struct job *job)
{
        assert_true(job_state_final(state_of(f, job)));
        return job->outcome;
}

/* ---- flights ---- */

static struct journal journal_of(struct fixture *f, const struct scheduler_turn *turn)
{
        return (struct journal){f->scheduler, f->loop, turn->purchase, turn->account};
}

static void on_sending(void *arg, int error)
{
        (void)arg;
        assert_int_equal(error, 0);
}

struct scheduler_turn take(struct fixture *f, const struct job *job)
{
        struct scheduler_turn turn;
        int64_t again_ms;

        assert_true(scheduler_take(f->scheduler, NULL, &turn, &again_ms));
        assert_true(f->flying_count < JOBS_MAX);
        f->flying[f->flying_count++] = turn;
        assert_ptr_equal(turn.purchase, job->purchase);
        const struct journal journal = journal_of(f, &turn);
        assert_int_equal(journal_sending(&journal, on_sending, NULL), 0);
        return turn;
}

int64_t take_nothing(struct fixture *f)
{
        struct scheduler_turn turn;
        int64_t again_ms = 0;

        assert_false(scheduler_take(f->scheduler, NULL, &turn, &again_ms));
        return again_ms;
}

/* The reference goes where the caller gives it. */
static void forget_flying(struct fixture *f, const struct purchase *purchase)
{
        for (size_t i = 0; i < f->flying_count; i++) {
                if (f->flying[i].purchase == purchase) {
                        f->flying[i] = f->flying[--f->flying_count];
                        return;
                }
        }
        fail();
}

void accept_turn(struct fixture *f, const struct scheduler_turn *turn)
{
        const struct journal journal = journal_of(f, turn);

        journal_accepted(&journal, turn->terms, "h-upstream");
}

static void on_final(void *arg, int error)
{
        int *told = arg;

        assert_int_equal(error, 0);
        ++*told;
}

void end_turn(struct fixture *f, const struct scheduler_turn *turn, struct outcome *outcome)
{
        end_turn_as(f, turn, outcome, STORE_CHARGE_CHARGED);
}

void end_turn_as(struct fixture *f, const struct scheduler_turn *turn, struct outcome *outcome,
                 enum store_charge charge)
{
        const struct journal journal = journal_of(f, turn);
        int told = 0;

        scheduler_release(f->scheduler, turn);
        journal_final(&journal, outcome, charge, on_final, &told);
        assert_int_equal(told, 1);
        forget_flying(f, turn->purchase);
        scheduler_land(f->scheduler, turn->purchase);
}

void solve_turn(struct fixture *f, const struct scheduler_turn *turn)
{
        char *members = strdup("\"solution\":[1]");

        end_turn(f, turn, outcome_solved(members, strlen(members)));
}

bool give_back(struct fixture *f, const struct scheduler_turn *turn, enum scheduler_try tried,
               int64_t pause_ms)
{
        const struct journal journal = journal_of(f, turn);

        scheduler_release(f->scheduler, turn);
        journal_returned(&journal, STORE_CHARGE_NOT_CHARGED);
        forget_flying(f, turn->purchase);
        return scheduler_requeue(f->scheduler, f->loop, turn, tried, pause_ms);
}

void probe_ends(struct fixture *f, enum breaker_result result)
{
        struct scheduler_probe probe;
        int64_t again_ms;

        assert_true(scheduler_take_probe(f->scheduler, &probe, &again_ms));
        scheduler_end_probe(f->scheduler, &probe, result, 0);
}
