/*
 * Deletions, which have time: those of results that nobody can ask for any more, of what was not
 * read at the start, and of days of the ledger that are too old.
 */
#include "store_fixture.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define RESULTS      3000
#define ROWS_AT_ONCE 256 /* that a transaction deletes */
#define ROWS_ALONG   16  /* and one of a single record */

/* Purchases 1000 and so on, each with a job and a charge; they finished at 1 and so on. */
static const char fill[] =
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 2999) SELECT i FROM n;"
        "INSERT INTO purchase(number, identity, host, created, state, error, text, finished)"
        " SELECT 1000 + i, randomblob(32), 'a.example', 1, 3, 0, '\"solution\":[1]', i + 1 FROM n;"
        "INSERT INTO job(id, purchase, client, target, created, deadline, address)"
        " SELECT format('h-%024d', i), 1000 + i, 'ci', '\"bus\"', 1, 2, '' FROM n;"
        "INSERT INTO charge(purchase, attempt, day, time, client, upstream, job, outcome)"
        " SELECT 1000 + i, 1, 7, 1, 'ci', 'pro', format('h-%024d', i), 2 FROM n;";

static int64_t count_jobs(const struct fixture *f)
{
        return ask_file(f->file, "SELECT count(*) FROM job");
}

static struct job *new_gone(int number)
{
        char id[JOB_ID_CHARS + 1];
        struct job *job;

        (void)snprintf(id, sizeof id, "h-%024d", number);
        assert_int_equal(
                job_new(&(struct job_parts){.id = id, .client = "ci", .target_json = "1"}, &job),
                0);
        return job;
}

/* Gives the first of what fill made. */
static void forget_results(struct fixture *f, int count)
{
        struct job *gone = NULL, *job, *next;

        for (int i = 0; i < count; i++) {
                job = new_gone(i);
                DL_APPEND2(gone, job, expiry_prev, expiry_next);
        }
        assert_int_equal(store_forget(f->store, gone), 0);
        DL_FOREACH_SAFE2 (gone, job, next, expiry_next)
                job_unref(job);
}

static struct store_record *new_entry(struct fixture *f, const char *text)
{
        struct store_record *record = new_record(f);

        record->audit = strdup(text);
        return record;
}

/* Writes an entry and waits for another one, which the first one causes. */
static void write_two_entries(struct fixture *f)
{
        store_write(f->store, new_entry(f, "first"));
        while (f->told < 2)
                loop_run(f->loop);
}

static int64_t jobs_seen;

/* With the first entry the writer is between two transactions. What it is given now is there when
 * it looks for the next one. */
static void give_deletions_and_a_record(struct fixture *f)
{
        if (f->entries == 1) {
                forget_results(f, RESULTS);
                store_write(f->store, new_entry(f, "second"));
        } else {
                jobs_seen = count_jobs(f);
        }
}

static void a_record_is_written_before_the_deletions_that_wait(void **state)
{
        struct fixture *f = *state;

        run_on_file(f->file, fill);
        f->at_entry = give_deletions_and_a_record;
        write_two_entries(f);
        assert_int_equal(jobs_seen, RESULTS - ROWS_ALONG);
}

static void deletions_go_in_small_transactions_and_leave_the_ledger_as_it_was(void **state)
{
        struct fixture *f = *state;

        run_on_file(f->file, fill);
        int syncs = count_syncs();
        forget_results(f, RESULTS);
        close_store(f);
        assert_true(count_syncs() - syncs >= RESULTS / ROWS_AT_ONCE);
        assert_int_equal(count_jobs(f), 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM charge"), 0);
        assert_int_equal(ask_file(f->file, "SELECT sum(count) FROM ledger"), RESULTS);
}

#define BATCH 512 /* records of a transaction */

static struct purchase *to_be_forgotten;

/* The row is added by a later transaction than the next one. */
static void give_a_row_and_its_deletion(struct fixture *f)
{
        if (f->entries > 1)
                return;
        for (int i = 0; i < BATCH; i++) {
                struct store_record *nothing = store_record_new();
                assert_non_null(nothing);
                nothing->must = true;
                store_write(f->store, nothing);
        }
        struct store_record *record =
                record_for(f, STORE_PURCHASE_MOVE, to_be_forgotten, JOB_SOLVED);
        record->outcome = outcome_solved(strdup("1"), 1);
        store_write(f->store, record);
        assert_int_equal(store_forget(f->store, to_be_forgotten->jobs), 0);
}

static void a_deletion_is_never_done_before_an_earlier_record(void **state)
{
        struct fixture *f = *state;

        to_be_forgotten = new_purchase(f);
        (void)add_job(to_be_forgotten, "ci", NULL);
        f->at_entry = give_a_row_and_its_deletion;
        write_two_entries(f);
        close_store(f);
        assert_int_equal(count_jobs(f), 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 0);
        purchase_drop(to_be_forgotten);
}

#define BUSY_TURNS  16 /* of the writer, for one with deletions */
#define ENTRIES_MAX (BUSY_TURNS * (RESULTS / ROWS_AT_ONCE + 3))

static _Atomic bool over;

static void give_an_entry(struct fixture *f)
{
        store_write(f->store, new_entry(f, "next"));
}

/* As long as there are jobs: so that the writer always finds a record. */
static void give_an_entry_more(struct fixture *f)
{
        if (count_jobs(f) > 0 && f->entries < ENTRIES_MAX)
                give_an_entry(f);
        else
                over = true;
}

/* The same with a deletion that is new each time. */
static void give_an_entry_and_a_deletion(struct fixture *f)
{
        forget_results(f, 1);
        give_an_entry_more(f);
}

static void start_with_unread_rows(struct fixture *f, void (*at_entry)(struct fixture *f))
{
        run_on_file(f->file, fill);
        close_store(f);
        over = false;
        f->before_start = give_an_entry;
        f->at_entry = at_entry;
        load_from(f, clock_wall_ms());
        while (!over)
                loop_run(f->loop);
}

static void unread_rows_go_although_a_record_always_waits(void **state)
{
        struct fixture *f = *state;

        start_with_unread_rows(f, give_an_entry_more);
        assert_int_equal(count_jobs(f), 0);
        assert_true(f->entries >= BUSY_TURNS * (RESULTS / ROWS_AT_ONCE)); /* and not all at once */
}

static void unread_rows_go_although_a_deletion_always_waits(void **state)
{
        struct fixture *f = *state;

        start_with_unread_rows(f, give_an_entry_and_a_deletion);
        assert_in_range(count_jobs(f), 0, RESULTS / 2 + ROWS_AT_ONCE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(a_record_is_written_before_the_deletions_that_wait),
                ON_STORE(deletions_go_in_small_transactions_and_leave_the_ledger_as_it_was),
                ON_STORE(a_deletion_is_never_done_before_an_earlier_record),
                ON_STORE(unread_rows_go_although_a_record_always_waits),
                ON_STORE(unread_rows_go_although_a_deletion_always_waits),
        };

        return cmocka_run_group_tests(tests, register_faults, NULL);
}
