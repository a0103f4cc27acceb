/*
 * Entries for the audit file: each is told once it is written, and kept until it is elsewhere.
 */
#include "base/strbuf.h"
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"
#include "wait.h"

#include <errno.h>
#include <string.h>

#include <sqlite3.h>

static void an_entry_is_told_with_a_number_that_rises_and_kept(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_string_equal(f->trail, "1:a ");
        assert_int_equal(write_entry(f, "b"), 0);
        assert_string_equal(f->trail, "1:a 2:b ");
        assert_int_equal(ask_file(f->file, "SELECT line = 'b' FROM audit WHERE entry = 2"), 1);
        assert_int_equal(count_entries(f), 2);
}

static void wait_until_entries(const struct fixture *f, int64_t count)
{
        WAIT_UNTIL(count_entries(f) == count);
}

static void what_the_file_has_goes_with_the_next_record(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        assert_int_equal(write_entry(f, "c"), 0);
        assert_int_equal(count_entries(f), 3);
        atomic_store(&f->last_entry, 2);
        assert_int_equal(write_record(f, new_record(f)), 0);
        assert_int_equal(ask_file(f->file, "SELECT min(entry) FROM audit"), 3);
        assert_string_equal(f->trail, "1:a 2:b 3:c ");
}

static void what_the_file_may_not_have_is_told_again_at_the_next_start(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        assert_int_equal(write_entry(f, "c"), 0);
        close_store(f);
        atomic_store(&f->last_entry, 1);
        load(f);
        assert_string_equal(f->trail, "2:b 3:c ");
        assert_int_equal(count_entries(f), 2);
        assert_int_equal(write_entry(f, "d"), 0);
        assert_string_equal(f->trail, "2:b 3:c 4:d ");
}

static void what_was_not_taken_is_given_again_and_all_after_it(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        atomic_store(&f->last_entry, 1);
        atomic_store(&f->not_taken, 2);
        assert_int_equal(write_entry(f, "b"), 0);
        assert_int_equal(write_entry(f, "c"), 0);
        WAIT_UNTIL(atomic_load(&f->entries) == 4);
        assert_string_equal(f->trail, "1:a 3:c 2:b 3:c ");
}

static void what_the_file_has_goes_soon_without_a_record(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        assert_int_equal(count_entries(f), 2);
        atomic_store(&f->last_entry, 1);
        wait_until_entries(f, 1);
        atomic_store(&f->last_entry, 2); /* it is looked at again */
        wait_until_entries(f, 0);
}

static void what_an_earlier_run_has_left_goes_soon_too(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        reload(f);
        assert_string_equal(f->trail, "1:a ");
        assert_int_equal(count_entries(f), 1);
        atomic_store(&f->last_entry, 1);
        wait_until_entries(f, 0);
}

/* Else a file in the place of this one would be given them once more. */
static void a_clean_stop_leaves_no_entry_that_the_file_has(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        f->flushed_entry = 2;
        close_store(f);
        assert_int_equal(count_entries(f), 0);
        atomic_store(&f->last_entry, 0); /* another file */
        load(f);
        assert_string_equal(f->trail, "");
}

static void a_stop_keeps_what_the_file_could_not_be_given(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        f->flushed_entry = 1;
        close_store(f);
        assert_int_equal(count_entries(f), 1);
        load(f);
        assert_string_equal(f->trail, "2:b ");
}

static void numbers_go_on_after_those_that_the_file_has(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        close_store(f);
        atomic_store(&f->last_entry, 7);
        load(f);
        assert_string_equal(f->trail, "");
        assert_int_equal(count_entries(f), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        assert_string_equal(f->trail, "8:b ");
}

static void an_entry_comes_in_the_transaction_of_its_record(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SOLVED);
        record->must = true;
        record->charge = STORE_CHARGE_CHARGED;
        record->outcome = outcome_solved(strdup("\"a\":1"), 5);
        record->audit = strdup("charged");
        assert_int_equal(write_record(f, record), 0);
        assert_string_equal(f->trail, "1:charged ");
        assert_int_equal(ask_file(f->file, "SELECT count FROM ledger WHERE outcome = 'charged'"),
                         1);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_SOLVED);
        assert_string_equal(f->trail, "1:charged ");
}

static void write_later(struct fixture *f, const char *entry)
{
        struct store_record *record = new_record(f);

        record->must = true; /* also where the file was held for too long */
        record->audit = strdup(entry);
        store_write(f->store, record);
}

/* All of them in one transaction, which is tried anew without the bad one. */
static void a_record_that_can_never_be_written_tells_nothing_and_takes_no_number(void **state)
{
        struct fixture *f = *state;
        struct purchase *bad = new_purchase(f);
        struct store_record *record;
        sqlite3 *db;

        (void)add_job(bad, "bad", NULL);
        assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        write_later(f, "a"); /* for which the writer waits while the others come */
        write_later(f, "b");
        record = record_for(f, STORE_PURCHASE_NONE, bad, JOB_SENDING); /* jobs of no purchase */
        record->must = true;
        record->audit = strdup("bad");
        store_write(f->store, record);
        write_later(f, "c");
        assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        while (f->told < 4)
                loop_run(f->loop);
        assert_int_equal(f->error, 0);
        assert_string_equal(f->trail, "1:a 2:b 3:c ");
        assert_int_equal(count_entries(f), 3);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        purchase_drop(bad);
}

static int ignore_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                           int64_t finished_wall_ms)
{
        (void)arg;
        (void)finished_wall_ms;
        purchase_drop(purchase);
        outcome_unref(outcome);
        return 0;
}

static void without_an_audit_no_record_has_an_entry_and_what_is_there_stays(void **state)
{
        struct fixture *f = *state;
        const struct store_visitor visitor = {
                .purchase = ignore_purchase,
                .ended = load_ended,
                .arg = f,
        };
        struct strbuf problem;

        assert_int_equal(write_entry(f, "a"), 0);
        close_store(f);
        strbuf_init(&problem, 100);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_load(f->store, NULL, 0, &visitor, &problem), 0);
        assert_int_equal(store_start(f->store), 0);
        assert_int_equal(write_entry(f, "b"), -EPROTO);
        assert_true(store_healthy(f->store));
        assert_int_equal(write_record(f, new_record(f)), 0);
        reload(f);
        assert_string_equal(f->trail, "1:a ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(an_entry_is_told_with_a_number_that_rises_and_kept),
                ON_STORE(what_the_file_has_goes_with_the_next_record),
                ON_STORE(what_the_file_may_not_have_is_told_again_at_the_next_start),
                ON_STORE(what_was_not_taken_is_given_again_and_all_after_it),
                ON_STORE(what_the_file_has_goes_soon_without_a_record),
                ON_STORE(what_an_earlier_run_has_left_goes_soon_too),
                ON_STORE(a_clean_stop_leaves_no_entry_that_the_file_has),
                ON_STORE(a_stop_keeps_what_the_file_could_not_be_given),
                ON_STORE(numbers_go_on_after_those_that_the_file_has),
                ON_STORE(an_entry_comes_in_the_transaction_of_its_record),
                ON_STORE(a_record_that_can_never_be_written_tells_nothing_and_takes_no_number),
                ON_STORE(without_an_audit_no_record_has_an_entry_and_what_is_there_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
