/*
 * Jobs that end by themselves, and what the store is given of them.
 */
#include "base/clock.h"
#include "engine/entry_end.h"
#include "engine/keep.h"
#include "engine/scheduler_private.h"
#include "engine_fixture.h"
#include "job/store_private.h"
#include "job/waiter.h"

#include <stdio.h>

#include <sqlite3.h>
#include <utlist.h>

/* ---- what is given to the store ---- */

/* The records that wait for the writer, which does not run yet. */
static size_t count_records(const struct fixture *f)
{
        const struct store_item *item;
        size_t count = 0;

        DL_COUNT(f->store->queue, item, count);
        return count;
}

/* As if the store had the rows of the job and its purchase. */
static struct job *submit_kept(struct fixture *f, const char *task)
{
        struct job *job = submit(f, task);

        job->kept = JOB_KEPT;
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

static void stop_when_nothing_is_written(void *arg)
{
        struct fixture *f = arg;

        if (!scheduler_writes(f->scheduler))
                loop_stop(f->loop);
}

static void run_until_written(struct fixture *f)
{
        struct loop_timer *timer;

        assert_int_equal(loop_timer_new(f->loop, stop_when_nothing_is_written, f, &timer), 0);
        loop_timer_start(timer, 0, 1);
        loop_run(f->loop);
        loop_timer_free(timer);
}

static sqlite3 *open_jobs(const struct fixture *f)
{
        char file[64];
        sqlite3 *db;

        (void)snprintf(file, sizeof file, "%s/jobs.db", f->directory);
        assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
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

static void on_kept(struct mail *mail)
{
        (void)mail;
}

/* Writes the rows of jobs and their purchases. */
static void keep_all(struct fixture *f, struct job *const jobs[], size_t count)
{
        static struct waiter waiters[8]; /* their mail may be delivered later */

        assert_true(count <= sizeof waiters / sizeof *waiters);
        for (size_t i = 0; i < count; i++) {
                waiters[i] = (struct waiter){.loop = f->loop, .mail.deliver = on_kept};
                assert_true(keep_wait(f->scheduler, f->loop, jobs[i], &waiters[i]));
        }
        run_until_written(f);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(jobs[i]->kept, JOB_KEPT);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(a_full_batch_of_ends_is_one_record),
                ON_ENGINE(an_end_that_cannot_be_written_keeps_no_other_one_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
