/*
 * Charges that the database has lost are written into it again, once.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#define DAY 20000 /* since 1970 */
#define JOB "h-lost"

/* What an audit file has. */
struct file {
        const struct store_lost_charge *charges;
        size_t count, next;
        int error; /* after the last one */
};

static int next_charge(void *arg, struct store_lost_charge *ret_charge)
{
        struct file *file = arg;

        if (file->next == file->count)
                return file->error;
        *ret_charge = file->charges[file->next++];
        return 1;
}

static struct store_lost_charge lost(int64_t entry, const char *job, bool charged)
{
        return (struct store_lost_charge){
                entry, (DAY + 1) * CLOCK_DAY_MS + 5, DAY, charged, job, "ci", "pro"};
}

/* Opens the store alone; restores; closes it. */
static int restore(struct fixture *f, struct file *file, int64_t last, bool resend)
{
        struct store_losses losses = {last, resend, next_charge, file};
        struct store_restored restored;
        struct strbuf problem;

        strbuf_init(&problem, 1000);
        int r = sqlite_store_open(f->directory, &f->store, &problem);
        if (r == 0)
                r = store_restore(f->store, &losses, &restored);
        strbuf_done(&problem);
        close_store(f);
        return r;
}

static int restore_all(struct fixture *f, const struct store_lost_charge *charges, size_t count,
                       int64_t last)
{
        struct file file = {.charges = charges, .count = count};

        return restore(f, &file, last, false);
}

static int64_t counted(const struct fixture *f, const char *outcome)
{
        char sql[128];

        (void)snprintf(sql, sizeof sql,
                       "SELECT coalesce(sum(count), 0) FROM ledger WHERE outcome = '%s'", outcome);
        return ask_file(f->file, sql);
}

static void a_new_database_knows_that_it_has_had_no_entry(void **state)
{
        struct fixture *f = *state;
        int64_t last = 7;

        assert_int_equal(store_last_entry(f->store, &last), 0);
        assert_int_equal(last, 0);
}

static void the_highest_number_is_noted_in_the_transaction_of_its_entry(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(write_entry(f, "a"), 0);
        assert_int_equal(write_entry(f, "b"), 0);
        assert_int_equal(ask_file(f->file, "SELECT last FROM audited"), 2);
        f->flushed_entry = 2;
        close_store(f);
        assert_int_equal(count_entries(f), 0);
        assert_int_equal(ask_file(f->file, "SELECT last FROM audited"), 2);
        atomic_store(&f->last_entry, 0); /* another file: the numbers go on */
        load(f);
        assert_int_equal(write_entry(f, "c"), 0);
        assert_string_equal(f->trail, "3:c ");
}

static void lost_charges_count_by_day_and_the_number_is_noted(void **state)
{
        const struct store_lost_charge charges[] = {lost(3, JOB, true), lost(2, JOB, false),
                                                    lost(1, "h-other", true)};
        struct fixture *f = *state;

        close_store(f);
        assert_int_equal(restore_all(f, charges, 3, 3), 0);
        assert_int_equal(ask_file(f->file, "SELECT last FROM audited"), 3);
        assert_int_equal(ask_file(f->file, "SELECT sum(count) FROM charge_day WHERE day = 20000"
                                           " AND client = 'ci' AND upstream = 'pro'"),
                         3);
        assert_int_equal(counted(f, "charged"), 2);
        assert_int_equal(counted(f, "unknown"), 1);
        load(f);
        assert_int_equal(write_entry(f, "a"), 0);
        assert_string_equal(f->trail, "4:a ");
}

static void what_cannot_be_read_to_the_end_changes_nothing(void **state)
{
        const struct store_lost_charge charges[] = {lost(2, JOB, true)};
        struct file file = {.charges = charges, .count = 1, .error = -EIO};
        struct fixture *f = *state;

        close_store(f);
        assert_int_equal(restore(f, &file, 2, false), -EIO);
        assert_int_equal(ask_file(f->file, "SELECT last FROM audited"), 0);
        assert_int_equal(counted(f, "charged"), 0);
}

static void whichever_write_fails_all_count_or_none(void **state)
{
        const struct store_lost_charge charges[] = {lost(2, JOB, true), lost(1, JOB, true)};
        struct fixture *f = *state;
        int r = -1;

        close_store(f);
        for (int call = 0; r < 0; call++) {
                fail_after(call, SQLITE_FULL);
                r = restore_all(f, charges, 2, 2);
                fail_never();
                int64_t last = ask_file(f->file, "SELECT last FROM audited");
                assert_int_equal(counted(f, "charged"), last);
                if (last == 2)
                        break;
        }
        assert_int_equal(counted(f, "charged"), 2);
}

static void a_job_that_waits_and_was_charged_ends(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct job *job = add_job(purchase, "ci", NULL);

        assert_int_equal(write_queued(f, purchase), 0);
        close_store(f);
        const struct store_lost_charge charges[] = {lost(1, job->id, true)};
        assert_int_equal(restore_all(f, charges, 1, 1), 0);
        load(f);
        assert_int_equal(f->purchase_count, 1);
        assert_int_equal(f->purchases[0].purchase->state, JOB_UNKNOWN);
        assert_non_null(strstr(f->purchases[0].outcome->text, "was not sent again"));
        assert_int_equal(counted(f, "charged"), 1);
        assert_int_equal(close_and_count_bodies(f), 0);
        purchase_drop(purchase);
}

static void a_job_that_was_being_sent_has_its_charge_settled(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct job *job = add_job(purchase, "ci", NULL);

        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(write_sending(f, purchase), 0);
        close_store(f);
        const struct store_lost_charge charges[] = {lost(1, job->id, true)};
        assert_int_equal(restore_all(f, charges, 1, 1), 0);
        assert_int_equal(counted(f, "charged"), 1);
        assert_int_equal(counted(f, "open"), 0);
        load(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_UNKNOWN);
        purchase_drop(purchase);
}

/* It is in the file already, so its end gives the file no second line. */
static void a_charge_that_the_file_has_is_not_told_again(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct job *job = add_job(purchase, "ci", NULL);
        struct store_record *record;

        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(write_sending(f, purchase), 0);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_ACCEPTED);
        record->charge = STORE_CHARGE_CHARGED;
        (void)strcpy(record->upstream_id, "u-1");
        assert_int_equal(write_record(f, record), 0);
        close_store(f);
        const struct store_lost_charge charges[] = {lost(1, job->id, true)};
        assert_int_equal(restore_all(f, charges, 1, 1), 0);
        atomic_store(&f->last_entry, 1);
        load(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_ACCEPTED);
        record = record_for(f, STORE_PURCHASE_MOVE, f->purchases[0].purchase, JOB_SOLVED);
        record->outcome = outcome_solved(strdup("\"solution\":[1]"), 14);
        record->audit = strdup("again");
        assert_int_equal(write_record(f, record), 0);
        assert_string_equal(f->trail, "");
        assert_int_equal(write_entry(f, "new"), 0);
        assert_string_equal(f->trail, "2:new ");
        assert_int_equal(counted(f, "charged"), 1);
        purchase_drop(purchase);
}

static void end_one_that_waits(struct fixture *f, bool without_body)
{
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        close_store(f);
        struct file file = {0};
        assert_int_equal(restore(f, &file, 1, true), 0);
        load(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_QUEUED);
        close_store(f);
        if (without_body)
                run_on_file(f->bodies, "DELETE FROM body");
        assert_int_equal(restore(f, &file, 2, without_body), 0);
        load(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_UNKNOWN);
        assert_int_equal(counted(f, "charged") + counted(f, "unknown"), 0);
        purchase_drop(purchase);
}

static void others_that_wait_end_unless_they_may_be_sent_twice(void **state)
{
        end_one_that_waits(*state, false);
}

/* The body is deleted when the upstream has it, and the record of that is what was lost. */
static void one_whose_body_was_deleted_ends_in_any_case(void **state)
{
        end_one_that_waits(*state, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(a_new_database_knows_that_it_has_had_no_entry),
                ON_STORE(the_highest_number_is_noted_in_the_transaction_of_its_entry),
                ON_STORE(lost_charges_count_by_day_and_the_number_is_noted),
                ON_STORE(what_cannot_be_read_to_the_end_changes_nothing),
                ON_STORE(whichever_write_fails_all_count_or_none),
                ON_STORE(a_job_that_waits_and_was_charged_ends),
                ON_STORE(a_job_that_was_being_sent_has_its_charge_settled),
                ON_STORE(a_charge_that_the_file_has_is_not_told_again),
                ON_STORE(others_that_wait_end_unless_they_may_be_sent_twice),
                ON_STORE(one_whose_body_was_deleted_ends_in_any_case),
        };

        return cmocka_run_group_tests(tests, register_faults, NULL);
}
