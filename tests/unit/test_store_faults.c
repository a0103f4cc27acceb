/*
 * The store on a disk that fails: nothing is told that is not written, and service resumes.
 */
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

static void on_a_full_disk_what_may_fail_fails_and_what_must_be_written_waits(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f), *other = new_purchase(f);
        struct store_record *record;
        char problem[256];

        (void)add_job(purchase, "ci", NULL);
        (void)add_job(other, "qa", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        fail_after(0, SQLITE_FULL);
        assert_int_equal(write_queued(f, other), -ENOSPC);
        assert_false(store_healthy(f->store));
        store_problem(f->store, problem, sizeof problem);
        assert_non_null(strstr(problem, "full"));
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SOLVED);
        record->must = true;
        record->outcome = outcome_solved(strdup("\"a\":1"), 5);
        store_write(f->store, record);
        assert_int_equal(write_queued(f, other), -ENOSPC); /* the other one is not told before */
        int told = f->told;
        fail_never();
        while (f->told == told)
                loop_run(f->loop);
        assert_int_equal(f->error, 0);
        assert_true(store_healthy(f->store));
        assert_int_equal(write_queued(f, other), 0);
        purchase_drop(purchase);
        purchase_drop(other);
        reload(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_SOLVED);
        assert_int_equal(f->purchases[1].purchase->state, JOB_QUEUED);
}

static void write_must(struct fixture *f, struct purchase *purchase)
{
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SENDING);

        record->must = true;
        store_write(f->store, record);
}

static void on_nothing_fetched(struct store_fetch *fetch, int error, struct body *body)
{
        (void)body;
        fetch->error = error;
        loop_stop(fetch->loop);
}

static void what_must_be_written_keeps_its_order_while_it_waits(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchases[3];
        struct store_fetch fetch_between = {
                .pool = &f->pool, .loop = f->loop, .done = on_nothing_fetched};

        for (int i = 0; i < 3; i++) {
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], (const char *const[]){"a", "b", "c"}[i], NULL);
        }
        fail_after(0, SQLITE_FULL);
        write_must(f, purchases[0]);
        /* A fetch ends a transaction, so the first fails while the second is in the queue. */
        store_fetch_body(f->store, &fetch_between);
        write_must(f, purchases[1]);
        assert_int_equal(write_record(f, new_record(f)), -ENOSPC);
        assert_int_equal(fetch_between.error, 0);
        write_must(f, purchases[2]);
        assert_string_equal(f->order, "");
        fail_never();
        int told = f->told;
        while (f->told < told + 3)
                loop_run(f->loop);
        assert_string_equal(f->order, "abc");
        assert_int_equal(fetch_between.error, -ENOENT);
        for (int i = 0; i < 3; i++)
                purchase_drop(purchases[i]);
}

static void without_anything_to_write_it_notices_that_the_disk_is_well_again(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        fail_after(0, SQLITE_IOERR_WRITE);
        assert_int_equal(write_queued(f, purchase), -EIO);
        fail_never();
        wait_until_healthy(f);
        assert_int_equal(write_queued(f, purchase), 0);
        purchase_drop(purchase);
}

static void who_holds_the_file_too_long_makes_a_commit_fail(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        sqlite3 *db;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(write_queued(f, purchase), -EBUSY);
        assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        wait_until_healthy(f);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        purchase_drop(purchase);
}

/* Whether a waiting purchase could be written; then it is there with its body, else not at all. */
static bool write_with_fault(struct fixture *f, int call, int code)
{
        struct purchase *purchase = new_purchase(f);
        char sql[80];

        (void)add_job(purchase, "ci", NULL);
        fail_after(call, code);
        int error = write_queued(f, purchase);
        fail_never();
        wait_until_healthy(f);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM purchase WHERE number = %lld",
                       (long long)purchase->number);
        assert_int_equal(ask_file(f->file, sql), error == 0);
        assert_int_equal(fetch(f, purchase->number), error == 0 ? 50000 : -ENOENT);
        purchase_drop(purchase);
        return error == 0;
}

static void whatever_call_fails_a_record_is_there_exactly_when_it_was_told_so(void **state)
{
        struct fixture *f = *state;
        int call;

        for (call = 0; !write_with_fault(f, call, SQLITE_IOERR_FSYNC); call++)
                ;
        assert_true(call >= 4); /* of both files */
        for (call = 0; !write_with_fault(f, call, SQLITE_FULL); call += 4)
                ;
        assert_true(call >= 10);
        for (call = 2; !write_with_fault(f, call, SQLITE_IOERR_WRITE); call += 4)
                ;
        assert_int_equal(close_and_count_bodies(f), 3);
        load(f);
        assert_int_equal(f->purchase_count, 3);
}

static void where_bodies_cannot_be_written_only_what_needs_them_fails(void **state)
{
        struct fixture *f = *state;
        struct purchase *with = new_purchase(f), *without = new_purchase(f);
        char problem[256];

        (void)add_job(with, "ci", NULL);
        (void)add_job(without, "ci", NULL);
        fail_on("bodies.db", SQLITE_FULL);
        assert_int_equal(write_queued(f, with), -ENOSPC);
        store_problem(f->store, problem, sizeof problem);
        assert_non_null(strstr(problem, "bodies.db"));
        wait_until_healthy(f);
        assert_int_equal(write_sending(f, without), 0);
        assert_int_equal(write_queued(f, with), -ENOSPC);
        fail_never();
        wait_until_healthy(f);
        assert_int_equal(write_queued(f, with), 0);
        assert_int_equal(fetch(f, with->number), 50000);
        purchase_drop(with);
        purchase_drop(without);
}

static void a_body_that_must_be_written_waits_for_either_file(void **state)
{
        static const char *const names[] = {"bodies.db", "jobs.db"};
        struct fixture *f = *state;

        for (size_t i = 0; i < 2; i++) {
                struct purchase *purchase = new_purchase(f);
                (void)add_job(purchase, "ci", NULL);
                assert_int_equal(write_sending(f, purchase), 0);
                fail_on(names[i], SQLITE_FULL);
                struct store_record *record =
                        record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_QUEUED);
                record->must = true;
                record->body = new_body(f, 300);
                int told = f->told;
                store_write(f->store, record);
                while (store_healthy(f->store))
                        (void)usleep(2000);
                assert_int_equal(f->told, told);
                fail_never();
                while (f->told == told)
                        loop_run(f->loop);
                assert_int_equal(f->error, 0);
                assert_int_equal(fetch(f, purchase->number), 300);
                purchase_drop(purchase);
        }
        assert_int_equal(close_and_count_bodies(f), 2);
}

static void what_was_refused_leaves_no_body_behind(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f), *again = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        (void)add_job(again, "ci", NULL);
        fail_on("jobs.db", SQLITE_FULL);
        assert_int_equal(write_queued(f, purchase), -ENOSPC);
        fail_never();
        wait_until_healthy(f);
        fail_on("jobs.db", SQLITE_FULL);
        assert_int_equal(write_queued(f, again), -ENOSPC);
        fail_never();
        wait_until_healthy(f);
        assert_int_equal(write_queued(f, again), 0); /* its first body was to go */
        assert_int_equal(close_and_count_bodies(f), 1);
        load(f);
        assert_int_equal(f->purchase_count, 1);
        assert_int_equal(fetch(f, again->number), 50000);
        purchase_drop(purchase);
        purchase_drop(again);
}

static void a_body_that_cannot_be_deleted_holds_nothing_up(void **state)
{
        enum { PURCHASES = 5 };
        struct fixture *f = *state;
        struct purchase *purchases[PURCHASES];

        for (int i = 0; i < PURCHASES; i++) {
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], "ci", NULL);
                assert_int_equal(write_queued(f, purchases[i]), 0);
        }
        fail_on("bodies.db", SQLITE_IOERR_WRITE);
        for (int i = 0; i < PURCHASES; i++)
                assert_int_equal(write_solved(f, purchases[i]), 0);
        assert_true(store_healthy(f->store));
        close_store(f);
        fail_never();
        assert_int_equal(ask_file(f->bodies, "SELECT count(*) FROM body"), PURCHASES);
        load(f);
        assert_int_equal(close_and_count_bodies(f), 0);
        for (int i = 0; i < PURCHASES; i++)
                purchase_drop(purchases[i]);
}

static void copy_file(const struct fixture *f, const char *suffix, const char *to)
{
        char from_path[128], to_path[128];
        size_t len;

        (void)snprintf(from_path, sizeof from_path, "%s%s", f->file, suffix);
        (void)snprintf(to_path, sizeof to_path, "%s%s", to, suffix);
        char *bytes = read_whole(from_path, &len);
        FILE *stream = fopen(to_path, "w");
        assert_non_null(stream);
        assert_int_equal(fwrite(bytes, 1, len, stream), len);
        assert_int_equal(fclose(stream), 0);
        free(bytes);
}

static void what_failed_does_not_come_back_with_a_crash(void **state)
{
        struct fixture *f = *state;
        struct purchase *first = new_purchase(f), *second = new_purchase(f);
        char copy[96];

        (void)add_job(first, "ci", NULL);
        (void)add_job(second, "ci", NULL);
        assert_int_equal(write_queued(f, first), 0);
        /* Its commit is whole in the log when the sync fails. */
        fail_on("jobs.db", SQLITE_IOERR_FSYNC);
        assert_int_equal(write_queued(f, second), -EIO);
        fail_never();
        wait_until_healthy(f);
        (void)snprintf(copy, sizeof copy, "%s/copy", f->directory);
        copy_file(f, "", copy);
        copy_file(f, "-wal", copy);
        assert_int_equal(ask_file(copy, "SELECT count(*) FROM purchase"), 1);
        purchase_drop(first);
        purchase_drop(second);
}

/* Whether a job with an entry could be written; then the entry is told, else it is not. */
static bool write_entry_with_fault(struct fixture *f, int call, int code)
{
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SENDING);
        record->audit = strdup("e");
        fail_after(call, code);
        int error = write_record(f, record);
        assert_string_equal(f->trail, error == 0 ? "1:e " : "");
        fail_never();
        wait_until_healthy(f);
        assert_string_equal(f->trail, error == 0 ? "1:e " : "");
        assert_int_equal(count_entries(f), error == 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), error == 0);
        purchase_drop(purchase);
        return error == 0;
}

static void whatever_call_fails_an_entry_is_told_exactly_when_its_record_is_there(void **state)
{
        static const int codes[] = {SQLITE_IOERR_FSYNC, SQLITE_FULL, SQLITE_IOERR_WRITE};
        struct fixture *f = *state;

        for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
                int call = 0;
                while (!write_entry_with_fault(f, call, codes[i]))
                        call++;
                assert_true(call >= 1);
                close_store(f);
                assert_int_equal(unlink(f->file), 0); /* each code begins with an empty table */
                load(f);
        }
}

static void an_entry_that_must_be_written_is_told_once_when_it_is(void **state)
{
        struct fixture *f = *state;
        struct store_record *record = new_record(f);

        assert_int_equal(write_entry(f, "a"), 0);
        fail_on("jobs.db", SQLITE_FULL);
        record->must = true;
        record->audit = strdup("b");
        store_write(f->store, record);
        assert_int_equal(write_entry(f, "lost"), -ENOSPC);
        int told = f->told;
        assert_string_equal(f->trail, "1:a ");
        fail_never();
        while (f->told == told)
                loop_run(f->loop);
        assert_int_equal(f->error, 0);
        assert_int_equal(write_entry(f, "c"), 0);
        assert_string_equal(f->trail, "1:a 2:b 3:c ");
        reload(f);
        assert_string_equal(f->trail, "1:a 2:b 3:c ");
}

static void an_entry_that_could_not_be_deleted_is_deleted_later(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        fail_on("jobs.db", SQLITE_IOERR_FSYNC);
        atomic_store(&f->last_entry, 1);
        assert_int_equal(write_entry(f, "b"), -EIO);
        assert_int_equal(count_entries(f), 1);
        fail_never();
        wait_until_healthy(f);
        assert_int_equal(count_entries(f), 0);
        assert_int_equal(write_entry(f, "c"), 0);
        assert_string_equal(f->trail, "1:a 2:c ");
}

static void after_giving_up_even_what_must_be_written_is_told_of(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        fail_after(0, SQLITE_FULL);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SENDING);
        record->must = true;
        store_write(f->store, record);
        assert_int_equal(write_record(f, new_record(f)), -ENOSPC);
        int told = f->told;
        store_give_up(f->store);
        while (f->told == told)
                loop_run(f->loop);
        assert_int_equal(f->error, -ENOSPC);
        record = new_record(f);
        record->must = true;
        record->done = NULL;
        store_write(f->store, record);
        assert_int_equal(store_close(f->store), 2);
        f->store = NULL;
        purchase_drop(purchase);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(on_a_full_disk_what_may_fail_fails_and_what_must_be_written_waits),
                ON_STORE(what_must_be_written_keeps_its_order_while_it_waits),
                ON_STORE(without_anything_to_write_it_notices_that_the_disk_is_well_again),
                ON_STORE(who_holds_the_file_too_long_makes_a_commit_fail),
                ON_STORE(whatever_call_fails_a_record_is_there_exactly_when_it_was_told_so),
                ON_STORE(where_bodies_cannot_be_written_only_what_needs_them_fails),
                ON_STORE(a_body_that_must_be_written_waits_for_either_file),
                ON_STORE(what_was_refused_leaves_no_body_behind),
                ON_STORE(a_body_that_cannot_be_deleted_holds_nothing_up),
                ON_STORE(what_failed_does_not_come_back_with_a_crash),
                ON_STORE(whatever_call_fails_an_entry_is_told_exactly_when_its_record_is_there),
                ON_STORE(an_entry_that_must_be_written_is_told_once_when_it_is),
                ON_STORE(an_entry_that_could_not_be_deleted_is_deleted_later),
                ON_STORE(after_giving_up_even_what_must_be_written_is_told_of),
        };

        return cmocka_run_group_tests(tests, register_faults, NULL);
}
