/*
 * The store's files: their sizes, their owner, and that files of others stay as they are.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

static void expect_private_and_alone(const char *file)
{
        struct stat status;

        assert_int_equal(stat(file, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        assert_int_equal(file_bytes(file, "-wal"), -1);
        assert_int_equal(file_bytes(file, "-shm"), -1);
        assert_int_equal(file_bytes(file, "-journal"), -1);
        assert_int_equal(file_bytes(file, ".new"), -1);
}

static void a_clean_stop_leaves_two_files_for_their_owner_alone(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_true(file_bytes(f->file, "-wal") > 0);
        assert_true(file_bytes(f->bodies, "") > 50000);
        purchase_drop(purchase);
        close_store(f);
        expect_private_and_alone(f->file);
        expect_private_and_alone(f->bodies);
}

static void wait_until_shrunk(const char *file, int64_t bytes)
{
        int64_t until = clock_monotonic_ms() + 20000;

        while (file_bytes(file, "") > bytes) {
                assert_true(clock_monotonic_ms() < until);
                (void)usleep(2000);
        }
}

static void a_file_of_bodies_that_is_mostly_empty_shrinks_again(void **state)
{
        enum { BODIES = 150 };
        struct fixture *f = *state;
        struct purchase *purchases[BODIES];

        for (int i = 0; i < BODIES; i++) {
                struct store_record *record;
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], "ci", NULL);
                record = record_for(f, STORE_PURCHASE_ADD, purchases[i], JOB_QUEUED);
                record->body = new_body(f, 1 << 20);
                assert_int_equal(write_record(f, record), 0);
        }
        assert_true(file_bytes(f->bodies, "") > BODIES << 20);
        for (int i = 0; i < BODIES; i++)
                assert_int_equal(write_solved(f, purchases[i]), 0);
        wait_until_shrunk(f->bodies, 80 << 20);
        assert_int_equal(close_and_count_bodies(f), 0);
        for (int i = 0; i < BODIES; i++)
                purchase_drop(purchases[i]);
}

/* Each body is deleted long before the file has grown by all of them. */
static void a_file_of_bodies_does_not_grow_with_what_goes_through(void **state)
{
        enum { BODIES = 600 };
        struct fixture *f = *state;

        for (int i = 0; i < BODIES; i++) {
                struct purchase *purchase = new_purchase(f);
                (void)add_job(purchase, "ci", NULL);
                assert_int_equal(write_queued(f, purchase), 0);
                assert_int_equal(write_solved(f, purchase), 0);
                purchase_drop(purchase);
        }
        assert_true(file_bytes(f->bodies, "") < BODIES * 50000 / 2);
}

static void a_file_of_rows_that_is_mostly_empty_shrinks_again(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        run_on_file(f->file,
                    "INSERT INTO purchase(number, identity, created, state, error, text, finished)"
                    " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
                    " SELECT i, zeroblob(32), 1, 3, 0, hex(zeroblob(500000)), 5 FROM n");
        assert_true(file_bytes(f->file, "") > 95 << 20);
        load_from(f, 9); /* and all of them are past their time */
        wait_until_shrunk(f->file, 80 << 20);
}

static void expect_same(const char *file, const char *before, size_t len)
{
        size_t len_after;
        char *after = read_whole(file, &len_after);

        assert_int_equal(len_after, len);
        assert_memory_equal(after, before, len);
        assert_int_equal(file_bytes(file, "-wal"), -1);
        assert_int_equal(file_bytes(file, "-shm"), -1);
        assert_int_equal(file_bytes(file, "-journal"), -1);
        free(after);
}

/* As expect_refused(), and the file is left as it was, with no other beside it. */
static void expect_untouched(const struct fixture *f, const char *file, const char *sentence)
{
        size_t len;
        char *before = read_whole(file, &len);

        expect_refused(f, sentence);
        expect_same(file, before, len);
        free(before);
}

static void overwrite(const char *file, const char *bytes, size_t len, off_t at)
{
        int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, len, at), len);
        (void)close(fd);
}

/* Garbage where the tree of a table begins. */
static void damage(const char *file, const char *table)
{
        char sql[100], garbage[4000];

        (void)snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'",
                       table);
        int64_t page = ask_file(file, sql), page_bytes = ask_file(file, "PRAGMA page_size");
        memset(garbage, 0xa5, sizeof garbage);
        overwrite(file, garbage, sizeof garbage, (off_t)((page - 1) * page_bytes));
}

static void a_file_that_is_no_database_is_left_untouched(void **state)
{
        const struct fixture *f = *state;

        overwrite(f->file, "my notes\n", 9, 0);
        expect_untouched(f, f->file, "jobs.db: is not a database of solvegate");
        assert_int_equal(unlink(f->file), 0);
        overwrite(f->bodies, "my notes\n", 9, 0);
        expect_untouched(f, f->bodies, "bodies.db: is not a database of solvegate");
        assert_int_equal(file_bytes(f->file, ""), -1);
}

static void an_empty_file_is_left_untouched(void **state)
{
        const struct fixture *f = *state;

        overwrite(f->file, "", 0, 0);
        expect_untouched(f, f->file, "jobs.db: is not a database of solvegate");
}

static void a_database_of_another_program_is_left_untouched(void **state)
{
        const struct fixture *f = *state;

        run_on_file(f->file, "PRAGMA journal_mode = WAL; CREATE TABLE purchase (number)");
        expect_untouched(f, f->file, "jobs.db: is a database of another program");
}

static void one_file_in_the_place_of_the_other_is_left_untouched(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        assert_int_equal(rename(f->file, f->bodies), 0);
        expect_untouched(f, f->bodies, "bodies.db: is a database of another program");
}

static void a_database_of_a_newer_version_is_left_untouched(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        run_on_file(f->bodies, "PRAGMA user_version = 2");
        expect_untouched(f, f->bodies, "bodies.db: was written by a newer solvegate");
        run_on_file(f->file, "PRAGMA user_version = 6");
        expect_untouched(f, f->file, "jobs.db: was written by a newer solvegate");
}

static void a_damaged_database_is_left_untouched(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        purchase_drop(purchase);
        close_store(f);
        damage(f->file, "purchase");
        expect_untouched(f, f->file, "jobs.db");
}

/* Each table is sound; only a look at both finds it. */
static void an_index_with_rows_that_are_gone_is_damage_and_left_untouched(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        purchase_drop(purchase);
        close_store(f);
        run_on_file(f->file, "PRAGMA writable_schema = ON; UPDATE sqlite_schema"
                             " SET sql = replace(sql, 'NOT NULL', 'NULL')"
                             " WHERE name = 'job_purchase'");
        run_on_file(f->file, "DELETE FROM job WHERE seq > 0");
        run_on_file(f->file, "PRAGMA writable_schema = ON; UPDATE sqlite_schema"
                             " SET sql = replace(sql, 'NULL', 'NOT NULL')"
                             " WHERE name = 'job_purchase'");
        expect_untouched(f, f->file,
                         "jobs.db is damaged, and was left as it is: wrong # of entries"
                         " in index job_purchase");
}

static void a_damaged_file_of_bodies_is_left_untouched_and_no_job_is_dropped(void **state)
{
        struct fixture *f = *state;
        const struct store_visitor visitor = {0};
        struct purchase *purchase = new_purchase(f);
        struct strbuf problem;
        size_t len;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        purchase_drop(purchase);
        close_store(f);
        damage(f->bodies, "body");
        char *before = read_whole(f->bodies, &len);
        strbuf_init(&problem, 1000);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        assert_true(store_load(f->store, NULL, 0, &visitor, &problem) < 0);
        assert_non_null(strstr(problem.data, "bodies.db"));
        strbuf_done(&problem);
        close_store(f);
        expect_same(f->bodies, before, len);
        free(before);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 1);
}

static void a_database_that_was_cut_is_left_untouched(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        assert_int_equal(truncate(f->bodies, 32768), 0);
        expect_untouched(f, f->bodies, "bodies.db");
        assert_int_equal(truncate(f->file, 4096 * 3), 0);
        expect_untouched(f, f->file, "jobs.db");
}

static void without_the_bodies_of_waiting_jobs_it_is_refused(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        close_store(f);
        assert_int_equal(unlink(f->bodies), 0);
        expect_untouched(f, f->file, "bodies.db is missing, and jobs in ");
        assert_int_equal(file_bytes(f->bodies, ""), -1);
        purchase_drop(purchase);
}

static void where_no_job_waits_a_missing_file_of_bodies_is_made_anew(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f), *next = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        (void)add_job(next, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(write_solved(f, purchase), 0);
        close_store(f);
        assert_int_equal(unlink(f->bodies), 0);
        load(f);
        assert_int_equal(f->purchase_count, 1);
        assert_int_equal(write_queued(f, next), 0);
        assert_int_equal(fetch(f, next->number), 50000);
        purchase_drop(purchase);
        purchase_drop(next);
}

static void bodies_without_the_rows_of_their_jobs_are_refused(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        close_store(f);
        assert_int_equal(unlink(f->file), 0);
        expect_untouched(f, f->bodies, "jobs.db is missing, and ");
        assert_int_equal(file_bytes(f->file, ""), -1);
        purchase_drop(purchase);
}

static void a_start_that_made_one_of_the_files_is_gone_on_with(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        assert_int_equal(unlink(f->file), 0);
        load(f);
        assert_true(file_bytes(f->file, "") > 0);
}

static void a_database_without_its_tables_is_refused(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        run_on_file(f->file, "DROP TABLE audit");
        expect_refused(f, "audit");
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
        assert_int_equal(file_bytes(f->file, ".new"), -1);
}

/* As version 1 made it. It does not change any more. */
static const char version_1[] =
        "CREATE TABLE purchase ("
        " number INTEGER PRIMARY KEY,"
        " identity BLOB NOT NULL,"
        " host TEXT,"
        " created INTEGER NOT NULL,"
        " state INTEGER NOT NULL,"
        " upstream TEXT,"
        " upstream_id TEXT,"
        " error INTEGER,"
        " text TEXT,"
        " finished INTEGER CHECK ((finished IS NOT NULL) = (state >= 3))"
        ") STRICT;"
        "CREATE TABLE job ("
        " seq INTEGER PRIMARY KEY,"
        " id TEXT NOT NULL UNIQUE,"
        " purchase INTEGER,"
        " client TEXT NOT NULL,"
        " target TEXT NOT NULL,"
        " created INTEGER NOT NULL,"
        " deadline INTEGER NOT NULL,"
        " key TEXT,"
        " key_digest BLOB,"
        " state INTEGER,"
        " error INTEGER,"
        " text TEXT,"
        " finished INTEGER CHECK ((finished IS NULL) = (purchase IS NOT NULL))"
        ") STRICT;"
        "CREATE INDEX job_purchase ON job(purchase) WHERE purchase IS NOT NULL;"
        "CREATE TABLE charge ("
        " purchase INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL,"
        " day INTEGER NOT NULL,"
        " time INTEGER NOT NULL,"
        " client TEXT NOT NULL,"
        " upstream TEXT NOT NULL,"
        " job TEXT NOT NULL,"
        " outcome INTEGER NOT NULL,"
        " PRIMARY KEY (purchase, attempt)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE TABLE charge_day ("
        " day INTEGER NOT NULL,"
        " client TEXT NOT NULL,"
        " upstream TEXT NOT NULL,"
        " outcome INTEGER NOT NULL,"
        " count INTEGER NOT NULL,"
        " PRIMARY KEY (day, client, upstream, outcome)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE VIEW charges(time, client, upstream, job, outcome) AS"
        " SELECT strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch'), client, upstream, job,"
        "  CASE outcome WHEN 1 THEN 'open' WHEN 2 THEN 'charged' WHEN 3 THEN 'not_charged'"
        "  ELSE 'unknown' END FROM charge;"
        "CREATE VIEW ledger(client, upstream, outcome, count) AS"
        " SELECT client, upstream, CASE outcome WHEN 1 THEN 'open' WHEN 2 THEN 'charged'"
        "  WHEN 3 THEN 'not_charged' ELSE 'unknown' END, sum(count)"
        " FROM (SELECT client, upstream, outcome, count FROM charge_day"
        "  UNION ALL SELECT client, upstream, outcome, 1 FROM charge)"
        " GROUP BY client, upstream, outcome;";

static void make_version_1(struct fixture *f)
{
        close_store(f);
        assert_int_equal(unlink(f->file), 0);
        run_on_file(f->file, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;"
                             "PRAGMA application_id = 0x736f6c76");
        run_on_file(f->file, version_1);
        run_on_file(
                f->file,
                "PRAGMA user_version = 1;"
                "INSERT INTO purchase VALUES"
                " (1, zeroblob(32), 'a.example', 1, 3, 'pro', NULL, 0, '\"solution\":[1]', 9),"
                " (2, zeroblob(32), 'a.example', 1, 0, NULL, NULL, NULL, NULL, NULL);"
                "INSERT INTO job(id, purchase, client, target, created, deadline, state, error,"
                " finished) VALUES"
                " ('h-aaaaaaaaaaaaaaaaaaaaaaaa', 1, 'local', '\"bus\"', 1, 2, NULL, NULL, NULL),"
                " ('h-bbbbbbbbbbbbbbbbbbbbbbbb', 2, 'local', '\"bus\"', 1, 2, NULL, NULL, NULL),"
                " ('h-cccccccccccccccccccccccc', NULL, 'local', '\"bus\"', 1, 2, 5, 4, 9);"
                "INSERT INTO charge VALUES (1, 1, 10, 864000000, 'local', 'pro',"
                " 'h-aaaaaaaaaaaaaaaaaaaaaaaa', 2)");
        run_on_file(f->bodies, "INSERT INTO body VALUES (2, x'62')");
}

static void expect_loaded_from_version_1(struct fixture *f)
{
        assert_int_equal(f->purchase_count, 2);
        assert_string_equal(f->purchases[0].outcome->text, "\"solution\":[1]");
        assert_string_equal(f->purchases[0].purchase->jobs->address, "");
        assert_int_equal(f->purchases[0].purchase->attempts, 0); /* of those in doubt */
        assert_true(f->purchases[1].purchase->body_stored);
        assert_string_equal(f->ended->id, "h-cccccccccccccccccccccccc");
}

static void a_database_of_version_1_is_brought_up_to_date_with_all_it_has(void **state)
{
        struct fixture *f = *state;

        make_version_1(f);
        load(f);
        expect_loaded_from_version_1(f);
        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(ask_file(f->file, "PRAGMA user_version"), 5);
        reload(f); /* what it has become is read as well */
        expect_loaded_from_version_1(f);
        assert_string_equal(f->trail, "1:a ");
        assert_int_equal(ask_file(f->file, "SELECT count FROM ledger"), 1);
}

static void a_damaged_database_of_version_1_is_left_untouched(void **state)
{
        struct fixture *f = *state;

        make_version_1(f);
        damage(f->file, "charge_day");
        expect_untouched(f, f->file, "jobs.db");
}

static void whatever_call_fails_a_database_is_of_one_version_or_the_other(void **state)
{
        struct fixture *f = *state;
        struct strbuf problem;
        int call, r = -1;

        make_version_1(f);
        strbuf_init(&problem, 100000);
        for (call = 0; r < 0; call++) {
                fail_after(call, SQLITE_FULL);
                r = sqlite_store_open(f->directory, &f->store, &problem);
                fail_never();
                if (r < 0)
                        assert_int_equal(
                                ask_file(f->file, "SELECT count(*) FROM sqlite_schema WHERE"
                                                  " name = 'audit'"),
                                ask_file(f->file, "SELECT count(*) FROM pragma_table_info('job')"
                                                  " WHERE name = 'address'"));
        }
        strbuf_done(&problem);
        assert_true(call >= 4);
        reload(f);
        expect_loaded_from_version_1(f);
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
        purchase_drop(purchase);
        outcome_unref(outcome);
        return 0;
}

static void a_hundred_thousand_results_and_ten_thousand_waiting_jobs_are_read(void **state)
{
        struct fixture *f = *state;
        struct counted counted = {0};
        const struct store_visitor visitor = {
                .purchase = count_purchase,
                .ended = load_ended,
                .arg = &counted,
        };
        struct strbuf problem;

        close_store(f);
        run_on_file(
                f->file,
                "BEGIN;"
                "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS"
                " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 110000) SELECT i FROM n;"
                "INSERT INTO purchase(number, identity, host, created, state, error, text,"
                " finished) SELECT i, randomblob(32), 'a.example', 1, iif(i > 100000, 0, 3), 0,"
                " '\"solution\":[1]', iif(i > 100000, NULL, 9) FROM n;"
                "INSERT INTO job(id, purchase, client, target, created, deadline)"
                " SELECT 'h-' || lower(hex(randomblob(12))), i, 'ci', '\"bus\"', 1, 2 FROM n;"
                "INSERT INTO charge SELECT i, 1, strftime('%s') / 86400, 1, 'ci', 'pro', 'h', 2,"
                " NULL FROM n;"
                "COMMIT");
        run_on_file(f->bodies,
                    "INSERT INTO body WITH RECURSIVE n(i) AS (SELECT 100001 UNION ALL"
                    " SELECT i + 1 FROM n WHERE i < 110000) SELECT i, zeroblob(3000) FROM n");
        strbuf_init(&problem, 1000);
        int64_t before_ms = clock_monotonic_ms();
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_load(f->store, NULL, 5, &visitor, &problem), 0);
        print_message("read in %lld ms\n", (long long)(clock_monotonic_ms() - before_ms));
        assert_int_equal(counted.finished, 100000);
        assert_int_equal(counted.queued, 10000);
        assert_int_equal(store_next_number(f->store), 110001);
        close_store(f);

        memset(&counted, 0, sizeof counted);
        before_ms = clock_monotonic_ms();
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_load(f->store, NULL, 9, &visitor, &problem), 0);
        print_message("forgotten in %lld ms\n", (long long)(clock_monotonic_ms() - before_ms));
        assert_int_equal(counted.finished, 0);
        assert_int_equal(counted.queued, 10000);
        close_store(f);
        assert_int_equal(ask_file(f->file, "SELECT count FROM ledger"), 110000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(a_clean_stop_leaves_two_files_for_their_owner_alone),
                ON_STORE(a_file_of_bodies_that_is_mostly_empty_shrinks_again),
                ON_STORE(a_file_of_bodies_does_not_grow_with_what_goes_through),
                ON_STORE(a_file_of_rows_that_is_mostly_empty_shrinks_again),
                ON_DIRECTORY(a_file_that_is_no_database_is_left_untouched),
                ON_DIRECTORY(an_empty_file_is_left_untouched),
                ON_DIRECTORY(a_database_of_another_program_is_left_untouched),
                ON_STORE(one_file_in_the_place_of_the_other_is_left_untouched),
                ON_STORE(a_database_of_a_newer_version_is_left_untouched),
                ON_STORE(a_damaged_database_is_left_untouched),
                ON_STORE(an_index_with_rows_that_are_gone_is_damage_and_left_untouched),
                ON_STORE(a_damaged_file_of_bodies_is_left_untouched_and_no_job_is_dropped),
                ON_STORE(a_database_that_was_cut_is_left_untouched),
                ON_STORE(without_the_bodies_of_waiting_jobs_it_is_refused),
                ON_STORE(where_no_job_waits_a_missing_file_of_bodies_is_made_anew),
                ON_STORE(bodies_without_the_rows_of_their_jobs_are_refused),
                ON_STORE(a_start_that_made_one_of_the_files_is_gone_on_with),
                ON_STORE(a_database_without_its_tables_is_refused),
                ON_STORE(a_database_of_version_1_is_brought_up_to_date_with_all_it_has),
                ON_STORE(a_damaged_database_of_version_1_is_left_untouched),
                ON_STORE(whatever_call_fails_a_database_is_of_one_version_or_the_other),
                ON_STORE(a_directory_has_one_owner),
                ON_DIRECTORY(a_directory_is_made_where_it_is_missing_and_named_where_it_cannot_be),
                ON_DIRECTORY(a_start_that_was_broken_off_is_begun_anew),
                ON_STORE(a_hundred_thousand_results_and_ten_thousand_waiting_jobs_are_read),
        };

        return cmocka_run_group_tests(tests, register_faults, NULL);
}
