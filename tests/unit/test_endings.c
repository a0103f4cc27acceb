/*
 * Jobs that end by themselves, and what the store is given of them.
 */
#include "base/clock.h"
#include "dispatch/end_job.h"
#include "dispatch/scheduler_private.h"
#include "endings_fixture.h"
#include "store/sqlite/store_private.h"

#include <stdio.h>

#include <sqlite3.h>
#include <utlist.h>

/* ---- what is given to the store ---- */

/* The records that wait for the writer, which does not run yet. */
static size_t count_records(const struct fixture *f)
{
        const struct store_item *item;
        size_t count = 0;

        DL_COUNT(sqlite_store_of(f->store)->queue, item, count);
        return count;
}

/* As if the store had the rows of the job and its purchase. */
static struct job *submit_kept(struct fixture *f, const char *task)
{
        struct job *job = submit(f, task);

        entry_set_kept_locked(f->scheduler, job, JOB_KEPT);
        job->purchase->recorded = true;
        return job;
}

static void a_full_batch_of_ends_is_one_record(void **state)
{
        struct fixture *f = *state;
        char task[16];

        f->config.limits.queue_jobs = CROWD_MAX;
        open_store(f);
        open_scheduler(f, 1);
        for (int i = 0; i < ENDINGS_BATCH; i++) {
                (void)snprintf(task, sizeof task, "%d", i);
                (void)submit_kept(f, task);
        }
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_int_equal(f->scheduler->endings, ENDINGS_BATCH);
        assert_int_equal(count_records(f), 1);
}

/* ---- what can never be written ---- */

static sqlite3 *open_jobs(const struct fixture *f)
{
        char file[64];
        sqlite3 *db;

        (void)snprintf(file, sizeof file, "%s/jobs.db", f->directory);
        assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
        (void)sqlite3_busy_timeout(db, 60000); /* the writer may be deleting rows */
        return db;
}

static void run_sql(const struct fixture *f, const char *sql)
{
        sqlite3 *db = open_jobs(f);

        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s", sqlite3_errmsg(db));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int ask_sql(const struct fixture *f, const char *sql)
{
        sqlite3 *db = open_jobs(f);
        sqlite3_stmt *statement;

        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        int answer = sqlite3_column_int(statement, 0);
        (void)sqlite3_finalize(statement);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return answer;
}

static void an_end_that_cannot_be_written_keeps_no_other_one_out(void **state)
{
        struct fixture *f = *state;
        struct job *jobs[3];

        open_store(f);
        assert_int_equal(store_start(f->store), 0);
        open_scheduler(f, 1);
        jobs[0] = submit(f, "a");
        assert_int_equal(submit_order(f, &(struct order){.task = "b", .client = "bad"}, &jobs[1]),
                         0);
        jobs[2] = submit(f, "c");
        keep_all(f, jobs, 3);
        run_sql(f, "CREATE TRIGGER never BEFORE UPDATE ON job WHEN old.client = 'bad' "
                   "BEGIN SELECT RAISE(ABORT, 'never'); END");
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        run_until_written(f);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(outcome_of(f, jobs[i])->error, JOB_DEADLINE);
        assert_int_equal(f->scheduler->endings, 0);
        assert_int_equal(ask_sql(f, "SELECT count(*) FROM job WHERE finished IS NULL"), 1);
        /* None of them is sent by the next start. */
        assert_int_equal(ask_sql(f, "SELECT count(*) FROM purchase WHERE state = 0"), 0);
}

/* ---- purchases that are given up ---- */

static void set_daily(struct fixture *f, const char *client, int64_t limit)
{
        const struct quota_limits limits = {.daily = limit};

        quota_set_limits(&client_named(f, client)->quota, &limits, quota_now());
}

/* A job that pays, and MANY that have joined it, of a client with nothing left. The job that has
 * used it up is the first one. */
static struct job *submit_with_crowd(struct fixture *f, struct job *ret_crowd[])
{
        f->config.limits.queue_jobs = CROWD_MAX;
        set_daily(f, "poor", 1);
        open_store(f);
        open_scheduler(f, 1);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms()); /* tells the loop */
        (void)submit_as(f, "poor", "own");
        struct job *payer = submit_as(f, "ci", "a");
        for (size_t i = 0; i < MANY; i++)
                ret_crowd[i] = submit_as(f, "poor", "a");
        return payer;
}

static void cancel(struct fixture *f, struct job *job)
{
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
}

static void jobs_whose_payer_has_left_end_in_batches(void **state)
{
        static struct job *crowd[MANY];
        struct fixture *f = *state;
        struct job *payer = submit_with_crowd(f, crowd);

        cancel(f, payer);
        assert_int_equal(count_ended(f), ENDINGS_BATCH);
        assert_int_equal(reserved_by(f, "ci"), 0);
        struct watched watched = run_watched(f);
        assert_int_equal(watched.ended_max, ENDINGS_BATCH);
        assert_int_equal(watched.ended, ENDINGS_STORED_MAX); /* the store is to write them first */
        assert_int_equal(count_records(f), ENDINGS_STORED_MAX / ENDINGS_BATCH);
        assert_int_equal(store_start(f->store), 0);
        watched = run_watched(f);
        assert_int_equal(watched.endings_max, ENDINGS_STORED_MAX);
        assert_int_equal(watched.ended, 1 + MANY);
        for (size_t i = 0; i < MANY; i++)
                assert_int_equal(outcome_of(f, crowd[i])->error, JOB_CANCELLED_ERROR);
        assert_null(f->scheduler->given_up);
        assert_int_equal(f->scheduler->queue.count, 1);
        assert_int_equal(f->scheduler->waiting_jobs, 1);
}

static void a_purchase_that_is_given_up_is_neither_sent_nor_joined(void **state)
{
        static struct job *crowd[MANY];
        struct fixture *f = *state;
        struct job *payer = submit_with_crowd(f, crowd);
        struct scheduler_turn turn;
        int64_t again_ms;

        cancel(f, payer);
        struct job *fresh = submit_as(f, "ci", "a");
        assert_int_equal(fresh->source, JOB_FROM_UPSTREAM);
        for (int i = 0; i < 2; i++) { /* the job of the poor client, and this one */
                assert_true(scheduler_take(f->scheduler, NULL, &turn, &again_ms));
                f->flying[f->flying_count++] = turn;
                assert_ptr_not_equal(turn.purchase, payer->purchase);
        }
        assert_int_equal(take_nothing(f), INT64_MAX);
}

static void jobs_of_a_purchase_that_is_given_up_can_be_cancelled_meanwhile(void **state)
{
        static struct job *crowd[MANY];
        struct fixture *f = *state;
        struct job *payer = submit_with_crowd(f, crowd);

        cancel(f, payer);
        for (size_t i = 0; i < MANY; i++)
                cancel(f, crowd[i]);
        assert_null(f->scheduler->given_up);
        assert_int_equal(f->scheduler->queue.count, 1);
        assert_int_equal(reserved_by(f, "poor"), 1);
        (void)run_watched(f);
        assert_int_equal(count_ended(f), 1 + MANY);
}

static void the_stop_leaves_what_is_given_up_to_the_next_start(void **state)
{
        static struct job *crowd[MANY];
        struct fixture *f = *state;
        struct job *payer = submit_with_crowd(f, crowd);
        struct mail idle = {.deliver = ignore_mail};

        cancel(f, payer);
        assert_true(scheduler_drain(f->scheduler, f->loop, &idle));
        (void)run_watched(f); /* what was on its way already */
        assert_in_range(count_ended(f), ENDINGS_BATCH, 2 * ENDINGS_BATCH);
        entry_cancel_waiting(f->scheduler, f->loop); /* or it has none, and all end */
        assert_int_equal(count_ended(f), 2 + MANY);
        assert_int_equal(f->scheduler->queue.count, 0);
}

static void jobs_that_a_reload_has_left_no_try_end_in_batches_and_are_counted(void **state)
{
        static struct job *crowd[MANY];
        struct entry_unwanted_counts counts = {0};
        struct fixture *f = *state;
        struct job *payer = submit_with_crowd(f, crowd);

        assert_int_equal(f->scheduler->queue.count, 2);
        payer->purchase->attempts = 2;
        f->config.retry.attempts = 2;
        reconfigure(f, 1);
        assert_int_equal(store_start(f->store), 0);
        entry_cancel_unwanted(f->scheduler, f->loop, on_reviewed, &counts);
        struct watched watched = run_watched(f);
        assert_int_equal(counts.given_up, 1 + MANY);
        assert_int_equal(counts.cancelled, 0);
        assert_int_equal(watched.ended_max, ENDINGS_BATCH);
        for (size_t i = 0; i < MANY; i++)
                assert_int_equal(outcome_of(f, crowd[i])->error, JOB_UPSTREAM_UNAVAILABLE);
        assert_int_equal(reserved_by(f, "ci"), 0);
}

/* ---- how a job ends ---- */

static void assert_end(struct purchase *purchase, enum end_reason reason, enum job_state state,
                       enum job_error error, const char *message)
{
        struct outcome *outcome = end_outcome(purchase, reason, "the site is gone");

        assert_int_equal(outcome->state, state);
        assert_int_equal(outcome->error, error);
        assert_string_equal(outcome->text, message);
        outcome_unref(outcome);
}

static void a_job_that_surely_was_not_taken_is_cancelled_or_fails(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct purchase *purchase = submit(f, "a")->purchase;
        assert_end(purchase, END_BY_OPERATOR, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                   "cancelled by the operator; it was not charged");
        assert_end(purchase, END_STOPPED, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                   "solvegate was stopped before the job was sent; send it again; it was not "
                   "charged");
        assert_end(purchase, END_ALL_OVERDUE, JOB_FAILED, JOB_DEADLINE,
                   "limits.job_deadline passed while the job was queued; it was not charged");
        assert_end(purchase, END_NOT_ALLOWED, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                   "the site is gone, so the job was not sent; it was not charged");
        assert_end(purchase, END_PAYER_GONE, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                   "the identical job that was to pay has left, and the client's own limit is used "
                   "up, so the job was not sent; it was not charged");
        assert_end(purchase, END_NO_TRIES, JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE,
                   "a reload has changed retry.on_unknown or retry.attempts, so the job was not "
                   "sent again; it was not charged");
}

static void a_job_that_may_have_been_charged_is_unknown_or_overdue(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct purchase *purchase = submit(f, "a")->purchase;
        purchase->doubtful = true;
        assert_end(purchase, END_STOPPED, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                   "solvegate was stopped, so the job was not sent again; an earlier try may have "
                   "been charged");
        assert_end(purchase, END_OVERDUE, JOB_FAILED, JOB_DEADLINE,
                   "limits.job_deadline passed while the job was queued; an earlier try may have "
                   "been charged");
        assert_end(purchase, END_NOT_ALLOWED, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                   "the site is gone, so the job was not sent again; an earlier try may have been "
                   "charged");
        assert_end(purchase, END_NO_TRIES_AT_START, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                   "retry.on_unknown or retry.attempts has changed, so the job was not sent again; "
                   "an earlier try may have been charged");
        scheduler_set_trouble(f->scheduler, purchase, "HTTP 502");
        assert_end(purchase, END_NO_TRIES, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                   "a reload has changed retry.on_unknown or retry.attempts, so the job was not "
                   "sent again; an earlier try may have been charged; the last try: HTTP 502");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(a_job_that_surely_was_not_taken_is_cancelled_or_fails),
                ON_ENGINE(a_job_that_may_have_been_charged_is_unknown_or_overdue),
                ON_ENGINE(a_full_batch_of_ends_is_one_record),
                ON_ENGINE(an_end_that_cannot_be_written_keeps_no_other_one_out),
                ON_ENGINE(jobs_whose_payer_has_left_end_in_batches),
                ON_ENGINE(a_purchase_that_is_given_up_is_neither_sent_nor_joined),
                ON_ENGINE(jobs_of_a_purchase_that_is_given_up_can_be_cancelled_meanwhile),
                ON_ENGINE(the_stop_leaves_what_is_given_up_to_the_next_start),
                ON_ENGINE(jobs_that_a_reload_has_left_no_try_end_in_batches_and_are_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
