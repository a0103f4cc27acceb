/*
 * The store's file: its size, its owner, and that files of others stay as they are.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_clean_stop_leaves_one_file_for_its_owner_alone(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct stat status;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_true(file_bytes(f, "-wal") > 50000);
        free_purchase(purchase);
        assert_int_equal(store_close(f->store), 0);
        f->store = NULL;
        assert_int_equal(file_bytes(f, "-wal"), -1);
        assert_int_equal(file_bytes(f, "-shm"), -1);
        assert_int_equal(file_bytes(f, ".new"), -1);
        assert_int_equal(stat(f->file, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_file_that_is_mostly_empty_shrinks_again(void **state)
{
        enum { BODIES = 150 };
        struct fixture *f = *state;
        struct purchase *purchases[BODIES];
        int64_t until = clock_monotonic_ms() + 20000;

        for (int i = 0; i < BODIES; i++) {
                struct store_record *record;
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], "ci", NULL);
                record = record_for(f, STORE_PURCHASE_ADD, purchases[i], JOB_QUEUED);
                record->body = new_body(f, 1 << 20);
                assert_int_equal(write_record(f, record), 0);
                assert_true(file_bytes(f, "-wal") < 100 << 20); /* written back as it grows */
        }
        assert_true(file_bytes(f, "") > 100 << 20);
        for (int i = 0; i < BODIES; i++) {
                assert_int_equal(write_solved(f, purchases[i]), 0);
                free_purchase(purchases[i]);
        }
        while (file_bytes(f, "") > 80 << 20) {
                assert_true(clock_monotonic_ms() < until);
                (void)usleep(2000);
        }
}

/* The same, and the file is left as it was, with no other beside it. */
static void expect_untouched(const struct fixture *f, const char *sentence)
{
        size_t len, len_after;
        char *before = read_whole(f->file, &len), *after;

        expect_refused(f, sentence);
        after = read_whole(f->file, &len_after);
        assert_int_equal(len_after, len);
        assert_memory_equal(after, before, len);
        assert_int_equal(file_bytes(f, "-wal"), -1);
        assert_int_equal(file_bytes(f, "-shm"), -1);
        free(before);
        free(after);
}

static void overwrite(const struct fixture *f, const char *bytes, size_t len, off_t at)
{
        int fd = open(f->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, len, at), len);
        (void)close(fd);
}

static void a_file_that_is_no_database_is_left_untouched(void **state)
{
        overwrite(*state, "my notes\n", 9, 0);
        expect_untouched(*state, "jobs.db: is not a database of solvegate");
}

static void an_empty_file_is_left_untouched(void **state)
{
        overwrite(*state, "", 0, 0);
        expect_untouched(*state, "jobs.db: is not a database of solvegate");
}

static void a_database_of_another_program_is_left_untouched(void **state)
{
        const struct fixture *f = *state;

        run_on_file(f->file, "PRAGMA journal_mode = WAL; CREATE TABLE purchase (number)");
        expect_untouched(f, "jobs.db: is a database of another program");
}

static void a_database_of_a_newer_version_is_left_untouched(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        run_on_file(f->file, "PRAGMA user_version = 2");
        expect_untouched(f, "was written by a newer solvegate");
}

static void a_damaged_database_is_left_untouched(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        char garbage[4000];

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        free_purchase(purchase);
        close_store(f);
        int64_t page =
                ask_file(f->file, "SELECT rootpage FROM sqlite_schema WHERE name = 'purchase'");
        memset(garbage, 0xa5, sizeof garbage);
        overwrite(f, garbage, sizeof garbage, (off_t)(page - 1) * 8192);
        expect_untouched(f, "jobs.db");
}

static void a_database_that_was_cut_is_left_untouched(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        assert_int_equal(truncate(f->file, 8192 * 3), 0);
        expect_untouched(f, "jobs.db");
}

static void a_database_without_its_tables_is_refused(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        run_on_file(f->file, "DROP TABLE charge_day");
        expect_refused(f, "charge_day");
}

static void a_directory_has_one_owner(void **state)
{
        const struct fixture *f = *state;

        expect_refused(f, "is in use by another solvegate");
        expect_refused(f, f->directory);
}

static void a_directory_is_made_where_it_is_missing_and_named_where_it_cannot_be(void **state)
{
        struct fixture *f = *state;
        struct stat status;

        (void)strcat(f->directory, "/new");
        load(f);
        close_store(f);
        assert_int_equal(stat(f->directory, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0700);
        (void)strcat(f->directory, "/a/b");
        expect_refused(f, f->directory);
        f->directory[strlen(f->directory) - strlen("/new/a/b")] = '\0';
}

static void a_start_that_was_broken_off_is_begun_anew(void **state)
{
        struct fixture *f = *state;
        char path[128];

        (void)snprintf(path, sizeof path, "%s.new", f->file);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "half", 4), 4);
        (void)close(fd);
        load(f);
        assert_int_equal(file_bytes(f, ".new"), -1);
}

struct counted {
        size_t queued, finished;
        int64_t last;
};

static int count_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                          int64_t finished_wall_ms)
{
        struct counted *counted = arg;

        (void)finished_wall_ms;
        assert_true(purchase->number > counted->last);
        counted->last = purchase->number;
        counted->finished += outcome != NULL;
        counted->queued += outcome == NULL;
        free_purchase(purchase);
        outcome_unref(outcome);
        return 0;
}

static void a_hundred_thousand_results_and_ten_thousand_waiting_jobs_are_read(void **state)
{
        struct fixture *f = *state;
        struct counted counted = {0};
        const struct store_visitor visitor = {count_purchase, load_ended, &counted};
        struct strbuf problem;

        close_store(f);
        run_on_file(f->file,
                    "BEGIN;"
                    "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS"
                    " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 110000) SELECT i FROM n;"
                    "INSERT INTO purchase(number, identity, host, created, state, error, text,"
                    " finished) SELECT i, randomblob(32), 'a.example', 1, iif(i > 100000, 0, 3), 0,"
                    " '\"solution\":[1]', iif(i > 100000, NULL, 9) FROM n;"
                    "INSERT INTO job(id, purchase, client, target, created, deadline)"
                    " SELECT 'h-' || lower(hex(randomblob(12))), i, 'ci', '\"bus\"', 1, 2 FROM n;"
                    "INSERT INTO body SELECT i, zeroblob(3000) FROM n WHERE i > 100000;"
                    "INSERT INTO charge SELECT i, 1, strftime('%s') / 86400, 1, 'ci', 'pro', 'h', 2"
                    " FROM n;"
                    "COMMIT");
        strbuf_init(&problem, 1000);
        int64_t before_ms = clock_monotonic_ms();
        assert_int_equal(store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_load(f->store, 5, &visitor, &problem), 0);
        print_message("read in %lld ms\n", (long long)(clock_monotonic_ms() - before_ms));
        assert_int_equal(counted.finished, 100000);
        assert_int_equal(counted.queued, 10000);
        assert_int_equal(store_next_number(f->store), 110001);
        close_store(f);

        memset(&counted, 0, sizeof counted);
        before_ms = clock_monotonic_ms();
        assert_int_equal(store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_load(f->store, 9, &visitor, &problem), 0);
        print_message("forgotten in %lld ms\n", (long long)(clock_monotonic_ms() - before_ms));
        assert_int_equal(counted.finished, 0);
        assert_int_equal(counted.queued, 10000);
        close_store(f);
        assert_int_equal(ask_file(f->file, "SELECT count FROM ledger"), 110000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(a_clean_stop_leaves_one_file_for_its_owner_alone),
                ON_STORE(a_file_that_is_mostly_empty_shrinks_again),
                ON_DIRECTORY(a_file_that_is_no_database_is_left_untouched),
                ON_DIRECTORY(an_empty_file_is_left_untouched),
                ON_DIRECTORY(a_database_of_another_program_is_left_untouched),
                ON_STORE(a_database_of_a_newer_version_is_left_untouched),
                ON_STORE(a_damaged_database_is_left_untouched),
                ON_STORE(a_database_that_was_cut_is_left_untouched),
                ON_STORE(a_database_without_its_tables_is_refused),
                ON_STORE(a_directory_has_one_owner),
                ON_DIRECTORY(a_directory_is_made_where_it_is_missing_and_named_where_it_cannot_be),
                ON_DIRECTORY(a_start_that_was_broken_off_is_begun_anew),
                ON_STORE(a_hundred_thousand_results_and_ten_thousand_waiting_jobs_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
