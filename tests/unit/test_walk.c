/*
 * Walks through all jobs: what a reload or a detached store ends, some in each turn of the loop.
 */
#include "access/policy.h"
#include "base/clock.h"
#include "dispatch/end_job.h"
#include "dispatch/entry_walk.h"
#include "dispatch/scheduler_private.h"
#include "endings_fixture.h"
#include "store/sqlite/store_private.h"

#include <stdio.h>
#include <string.h>

/* Submits jobs of different tasks, which are not stored. */
static void submit_many(struct fixture *f, size_t count)
{
        char task[16];

        f->config.limits.queue_jobs = CROWD_MAX;
        open_store(f);
        open_scheduler(f, 1);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms()); /* tells the loop */
        for (size_t i = 0; i < count; i++) {
                (void)snprintf(task, sizeof task, "%zu", i);
                (void)submit(f, task);
        }
}

/* Puts a policy in force that knows only the client "ci", and with other sites nobody. */
static void set_policy(struct fixture *f, char *site)
{
        char name[] = "ci", digest[2 * 32 + 1];
        struct config_site sites[] = {{.site = site, .until_ms = INT64_MAX}};
        struct config_client clients[] = {{.name = name, .token_sha256 = digest, .weight = 1}};
        struct config config = f->config;
        struct policy *policy;

        memset(digest, 'a', sizeof digest - 1);
        digest[sizeof digest - 1] = '\0';
        config.clients = clients;
        config.clients_count = 1;
        config.sites.allow.items = sites;
        config.sites.allow.count = 1;
        assert_int_equal(policy_new(&config, f->clients, &policy), 0);
        scheduler_apply(f->scheduler, policy);
        policy_unref(policy);
}

static void disallow_all(struct fixture *f)
{
        char elsewhere[] = "elsewhere.example";

        set_policy(f, elsewhere);
}

static void detach_store(struct fixture *f)
{
        char file[64], away[64];

        (void)snprintf(file, sizeof file, "%s/jobs.db", f->directory);
        (void)snprintf(away, sizeof away, "%s/away.db", f->directory);
        assert_int_equal(rename(file, away), 0);
        store_look(f->store);
        assert_true(store_detached(f->store));
}

static size_t count_withdrawn(const struct fixture *f)
{
        size_t count = 0;

        for (size_t i = 0; i < f->job_count; i++)
                count += f->jobs[i]->kept == JOB_WITHDRAWN;
        return count;
}

static void few_jobs_are_looked_at_in_one_turn_of_the_loop(void **state)
{
        struct entry_unwanted_counts counts = {.given_up = 7};
        struct fixture *f = *state;

        submit_many(f, MANY);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        struct watched watched = run_watched(f);
        assert_in_range(watched.turns, MANY / WALK_BATCH, MANY);
        assert_int_equal(watched.ended, 0);
        assert_int_equal(counts.given_up + counts.cancelled, 0);
}

static void jobs_that_are_not_allowed_any_more_end_in_batches_and_are_counted(void **state)
{
        struct entry_unwanted_counts counts = {0};
        struct fixture *f = *state;

        submit_many(f, MANY);
        for (size_t i = 0; i < MANY; i++)
                entry_set_kept_locked(f->scheduler, f->jobs[i], JOB_KEPT);
        disallow_all(f);
        assert_int_equal(store_start(f->store), 0);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        assert_int_equal(count_ended(f), 0);
        struct watched watched = run_watched(f);
        /* The mutex is held twice in a turn: by the review, and for what it has given up. */
        assert_in_range(watched.ended_max, ENDINGS_BATCH, 2 * ENDINGS_BATCH);
        /* How many depends on how fast the writer is. */
        assert_in_range(watched.endings_max, 1, ENDINGS_STORED_MAX);
        assert_int_equal(watched.ended, MANY);
        assert_int_equal(counts.cancelled, MANY);
        assert_int_equal(f->scheduler->queue.count, 0);
}

static void a_review_does_not_wait_until_the_store_has_the_ends(void **state)
{
        struct entry_unwanted_counts counts = {0};
        struct fixture *f = *state;

        submit_many(f, MANY);
        for (size_t i = 0; i < MANY; i++)
                entry_set_kept_locked(f->scheduler, f->jobs[i], JOB_KEPT);
        disallow_all(f);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        (void)run_watched(f);
        assert_int_equal(count_ended(f), ENDINGS_STORED_MAX);
        assert_int_equal(counts.cancelled, MANY);
        assert_int_equal(take_nothing(f), INT64_MAX);
}

/* Purchases that one client pays for and another one has joined; the first one is not allowed any
 * more, so its jobs end one by one, and the other client pays. */
static void submit_shared(struct fixture *f, size_t count)
{
        char task[16], site[] = "a.example";

        submit_many(f, 0);
        for (size_t i = 0; i < count; i++) {
                (void)snprintf(task, sizeof task, "%zu", i);
                (void)submit_as(f, "gone", task);
                (void)submit_as(f, "ci", task);
        }
        set_policy(f, site);
}

static void jobs_that_leave_others_behind_wait_for_the_store_but_not_if_it_fails(void **state)
{
        enum { SHARED = MANY / 2 };
        struct entry_unwanted_counts counts = {0};
        struct fixture *f = *state;

        submit_shared(f, SHARED);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        (void)run_watched(f);
        assert_int_equal(count_ended(f), ENDINGS_STORED_MAX);
        assert_int_equal(counts.cancelled, 0);
        atomic_store(&sqlite_store_of(f->store)->unhealthy, true);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms()); /* a tick */
        struct watched watched = run_watched(f);
        assert_in_range(watched.ended_max, 1, ENDINGS_BATCH);
        assert_int_equal(watched.ended, SHARED);
        assert_int_equal(counts.cancelled, SHARED);
        assert_int_equal(reserved_by(f, "gone"), 0);
        assert_int_equal(reserved_by(f, "ci"), SHARED);
}

static void jobs_that_leave_others_behind_end_as_the_store_writes_them(void **state)
{
        enum { SHARED = MANY / 2 };
        struct entry_unwanted_counts counts = {0};
        struct fixture *f = *state;

        submit_shared(f, SHARED);
        assert_int_equal(store_start(f->store), 0);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        struct watched watched = run_watched(f);
        assert_in_range(watched.endings_max, 1, ENDINGS_STORED_MAX);
        assert_int_equal(watched.ended, SHARED);
        assert_int_equal(counts.cancelled, SHARED);
}

static void the_stop_ends_a_review(void **state)
{
        struct entry_unwanted_counts counts = {0};
        struct fixture *f = *state;
        struct mail idle = {.deliver = ignore_mail};

        submit_many(f, MANY);
        disallow_all(f);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        counts.given_up = 7;
        assert_true(scheduler_drain(f->scheduler, f->loop, &idle));
        (void)run_watched(f);
        assert_int_equal(count_ended(f), 0);
        assert_int_equal(counts.given_up, 0); /* it was called */
}

static void jobs_that_come_back_and_are_not_allowed_end_in_batches(void **state)
{
        struct fixture *f = *state;

        f->config.limits.queue_jobs = CROWD_MAX;
        open_scheduler(f, 1);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms());
        struct job *payer = submit(f, "a");
        for (int i = 0; i < MANY; i++)
                (void)submit(f, "a");
        struct scheduler_turn turn = take(f, payer);
        disallow_all(f);
        assert_true(give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS));
        assert_int_equal(count_ended(f), ENDINGS_BATCH);
        struct watched watched = run_watched(f);
        assert_int_equal(watched.ended_max, ENDINGS_BATCH);
        assert_int_equal(watched.ended, 1 + MANY);
        assert_int_equal(f->scheduler->queue.count, 0);
}

static void what_is_not_kept_is_withdrawn_in_batches_while_the_store_is_detached(void **state)
{
        struct fixture *f = *state;

        submit_many(f, MANY);
        entry_set_kept_locked(f->scheduler, f->jobs[5], JOB_KEPT);
        entry_set_kept_locked(f->scheduler, f->jobs[6], JOB_KEEP_FAILED);
        assert_int_equal(f->scheduler->unkept_jobs, MANY - 1);
        entry_withdraw_unkept(f->scheduler, f->loop);
        assert_null(f->scheduler->withdrawal.kind); /* it is not detached */
        detach_store(f);
        entry_withdraw_unkept(f->scheduler, f->loop);
        struct watched watched = run_watched(f);
        assert_in_range(watched.turns, MANY / WALK_BATCH, MANY);
        assert_int_equal(count_withdrawn(f), MANY - 1);
        assert_int_equal(f->jobs[5]->kept, JOB_KEPT);
        assert_int_equal(f->scheduler->unkept_jobs, 0);
        entry_withdraw_unkept(f->scheduler, f->loop);
        assert_null(f->scheduler->withdrawal.kind); /* there is nothing to look for */
}

static void jobs_that_wait_and_are_not_kept_are_counted_wherever_they_go(void **state)
{
        struct fixture *f = *state;

        submit_many(f, 4);
        const struct scheduler *scheduler = f->scheduler;
        assert_int_equal(scheduler->unkept_jobs, 4);
        struct scheduler_turn turn;
        int64_t again_ms;
        assert_true(scheduler_take(f->scheduler, NULL, &turn, &again_ms));
        f->flying[f->flying_count++] = turn;
        assert_int_equal(scheduler->unkept_jobs, 3);
        assert_true(give_back(f, &turn, SCHEDULER_NOT_TRIED, LONG_MS));
        assert_int_equal(scheduler->unkept_jobs, 4);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, f->jobs[1], END_BY_OWNER),
                         ENTRY_CANCELLED);
        assert_int_equal(scheduler->unkept_jobs, 3);
        assert_true(entry_withdraw(f->scheduler, f->loop, f->jobs[2]));
        assert_int_equal(scheduler->unkept_jobs, 2);
        assert_int_equal(store_start(f->store), 0);
        keep_all(f, &f->jobs[3], 1);
        assert_int_equal(scheduler->unkept_jobs, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(few_jobs_are_looked_at_in_one_turn_of_the_loop),
                ON_ENGINE(jobs_that_are_not_allowed_any_more_end_in_batches_and_are_counted),
                ON_ENGINE(a_review_does_not_wait_until_the_store_has_the_ends),
                ON_ENGINE(jobs_that_leave_others_behind_wait_for_the_store_but_not_if_it_fails),
                ON_ENGINE(jobs_that_leave_others_behind_end_as_the_store_writes_them),
                ON_ENGINE(the_stop_ends_a_review),
                ON_ENGINE(jobs_that_come_back_and_are_not_allowed_end_in_batches),
                ON_ENGINE(what_is_not_kept_is_withdrawn_in_batches_while_the_store_is_detached),
                ON_ENGINE(jobs_that_wait_and_are_not_kept_are_counted_wherever_they_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
