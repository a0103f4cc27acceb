/*
 * Which rows are read at the start, where there are more of them than there is memory.
 */
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"

#include "base/clock.h"
#include "base/strbuf.h"

#include <stdio.h>
#include <string.h>

#define RESULTS 3000
#define SPAN_MS (RESULTS * INT64_C(1000))
#define ROOM    200000 /* for less than a tenth of them */

/* A result finished in each second up to now; each tenth job is still with the upstream. */
static const char fill[] =
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 3000) SELECT i FROM n;"
        "INSERT INTO purchase(number, identity, host, created, state, error, text, finished)"
        " SELECT i, randomblob(32), 'a.example', 1, iif(i %% 10 = 0, 2, 3), 0, 'text',"
        " iif(i %% 10 = 0, NULL, %lld + 1000 * i) FROM n;"
        "INSERT INTO job(id, purchase, client, target, created, deadline, address)"
        " SELECT format('h-%%024d', i), i, 'ci', '\"bus\"', 1, 2, '' FROM n;";

struct seen {
        int count, accepted;
        int64_t number; /* of the last one */
        int64_t done, all;
        int progress;
};

static int see_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                        int64_t finished_wall_ms)
{
        struct seen *seen = arg;

        (void)finished_wall_ms;
        if (seen->accepted == 0 && outcome)
                assert_true(purchase->number > seen->number);
        else
                assert_null(outcome); /* what is final comes first */
        seen->accepted += !outcome;
        seen->count++;
        seen->number = outcome ? purchase->number : 0;
        outcome_unref(outcome);
        purchase_drop(purchase);
        return 0;
}

static void see_progress(void *arg, int64_t done, int64_t all)
{
        struct seen *seen = arg;

        seen->progress++;
        seen->done = done;
        seen->all = all;
}

static void load_with_room(struct fixture *f, int64_t bytes, struct seen *seen)
{
        const struct store_visitor visitor = {
                .purchase = see_purchase,
                .ended = load_ended,
                .arg = seen,
                .bytes_max = bytes,
                .progress = see_progress,
        };
        int64_t now_ms = clock_wall_ms();
        struct strbuf problem;
        char sql[sizeof fill + 20];

        close_store(f);
        (void)snprintf(sql, sizeof sql, fill, (long long)(now_ms - SPAN_MS));
        run_on_file(f->file, sql);
        strbuf_init(&problem, 1000);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        if (store_load(f->store, NULL, now_ms - SPAN_MS, &visitor, &problem) < 0)
                fail_msg("%s", problem.data);
        assert_int_equal(store_start(f->store), 0);
}

static void all_is_read_where_there_is_room(void **state)
{
        struct seen seen = {0};

        load_with_room(*state, 0, &seen);
        assert_int_equal(seen.count, RESULTS);
        assert_int_equal(seen.accepted, RESULTS / 10);
        assert_int_equal(seen.all, RESULTS);
        assert_true(seen.progress >= 2);
        close_store(*state);
        assert_int_equal(ask_file(((struct fixture *)*state)->file, "SELECT count(*) FROM job"),
                         RESULTS);
}

static void the_newest_are_read_and_the_rest_deleted_but_for_what_is_not_final(void **state)
{
        struct fixture *f = *state;
        struct seen seen = {0};

        load_with_room(f, ROOM, &seen);
        assert_int_equal(seen.accepted, RESULTS / 10);
        assert_in_range(seen.count, RESULTS / 10 + 10, RESULTS / 5);
        assert_int_equal(seen.all, seen.count);
        close_store(f);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), seen.count);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM job"), seen.count);
        assert_int_equal(ask_file(f->file, "SELECT max(number) - min(number) < 400 FROM purchase"
                                           " WHERE state = 3 AND (SELECT max(number) FROM purchase"
                                           " WHERE state = 3) = 2999"),
                         1);
}

/* As many answers from the cache, all of them newer. */
static const char fill_cached[] =
        "INSERT INTO job(id, client, target, created, deadline, address, state, error, text,"
        " finished) SELECT format('c-%024d', number), 'ci', '\"bus\"', 1, 2, '', 3, 0, 'text',"
        " unixepoch() * 1000 FROM purchase;";

static int ignore_ended(void *arg, struct job *job, struct outcome *outcome,
                        int64_t finished_wall_ms)
{
        (void)arg;
        (void)finished_wall_ms;
        job_unref(job);
        outcome_unref(outcome);
        return 0;
}

static int count_final(void *arg, struct purchase *purchase, struct outcome *outcome,
                       int64_t finished_wall_ms)
{
        int *count = arg;

        (void)finished_wall_ms;
        *count += outcome != NULL;
        outcome_unref(outcome);
        purchase_drop(purchase);
        return 0;
}

static void answers_from_the_cache_take_no_room_from_what_was_paid_for(void **state)
{
        struct fixture *f = *state;
        struct seen seen = {0};
        int alone = 0, beside = 0;
        struct store_visitor visitor = {.purchase = count_final, .bytes_max = ROOM};
        struct strbuf problem;

        load_with_room(f, 0, &seen);
        for (int i = 0; i < 2; i++) {
                visitor.arg = i == 0 ? &alone : &beside;
                visitor.ended = i == 0 ? NULL : ignore_ended;
                close_store(f);
                if (i == 1)
                        run_on_file(f->file, fill_cached);
                strbuf_init(&problem, 1000);
                assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
                assert_int_equal(
                        store_load(f->store, NULL, clock_wall_ms() - SPAN_MS, &visitor, &problem),
                        0);
        }
        assert_in_range(alone, 10, RESULTS / 5);
        assert_in_range(beside, alone - 10, alone + 10); /* some seconds have passed */
}

/* The first one to be kept joined; the second one was charged. */
static const char fill_shared[] =
        "INSERT INTO purchase(number, identity, host, created, state, error, text, finished)"
        " SELECT column1, randomblob(32), 'a.example', 1, column2, column3, 'text',"
        " unixepoch() * 1000 FROM (VALUES (1, 3, 0), (2, 4, 5));"
        "INSERT INTO job(id, purchase, client, target, created, deadline, address)"
        " SELECT format('h-%024d', 10 * number + i), number, 'ci', '\"bus\"', 1, 2, ''"
        " FROM purchase, (SELECT 1 AS i UNION SELECT 2);"
        "INSERT INTO charge(purchase, attempt, day, time, client, upstream, job, outcome)"
        " SELECT number, 1, 1, 1, 'ci', 'main', format('h-%024d', 10 * number + 2),"
        " iif(number = 1, 2, 3) FROM purchase;";

static int see_payer(void *arg, struct purchase *purchase, struct outcome *outcome,
                     int64_t finished_wall_ms)
{
        const struct job *first = purchase->jobs;
        int *seen = arg;

        (void)finished_wall_ms;
        assert_non_null(first->sibling_next);
        assert_int_equal(first->paid, purchase->number == 1);
        assert_false(first->sibling_next->paid);
        if (purchase->number == 1)
                assert_string_equal(first->id, "h-000000000000000000000012");
        (*seen)++;
        outcome_unref(outcome);
        purchase_drop(purchase);
        return 0;
}

static void the_job_that_was_charged_is_the_one_that_is_paid(void **state)
{
        struct fixture *f = *state;
        int seen = 0;
        const struct store_visitor visitor = {
                .purchase = see_payer,
                .ended = load_ended,
                .arg = &seen,
        };
        struct strbuf problem;

        close_store(f);
        run_on_file(f->file, fill_shared);
        strbuf_init(&problem, 1000);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        if (store_load(f->store, NULL, clock_wall_ms() - SPAN_MS, &visitor, &problem) < 0)
                fail_msg("%s", problem.data);
        assert_int_equal(seen, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(all_is_read_where_there_is_room),
                ON_STORE(answers_from_the_cache_take_no_room_from_what_was_paid_for),
                ON_STORE(the_job_that_was_charged_is_the_one_that_is_paid),
                ON_STORE(the_newest_are_read_and_the_rest_deleted_but_for_what_is_not_final),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
