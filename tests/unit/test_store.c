/*
 * The store's records: what is written comes back, in order, as long as it is needed.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_waiting_purchase_comes_back_with_its_jobs_in_order(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        const struct job *first = add_job(purchase, "ci", "key"), *second;
        char first_id[40], second_id[40];

        second = add_job(purchase, "qa", NULL);
        (void)strcpy(first_id, first->id);
        (void)strcpy(second_id, second->id);
        assert_int_equal(write_queued(f, purchase), 0);
        purchase_drop(purchase);
        reload(f);

        assert_int_equal(f->purchase_count, 1);
        purchase = f->purchases[0].purchase;
        first = purchase->jobs;
        second = first->sibling_next;
        assert_int_equal(purchase->number, f->number);
        assert_int_equal(purchase->state, JOB_QUEUED);
        assert_int_equal(purchase->identity.bytes[31], f->number);
        assert_string_equal(purchase->host, "a.example");
        assert_true(purchase->body_stored && !purchase->sent_stored && !purchase->body);
        assert_null(f->purchases[0].outcome);
        assert_string_equal(first->id, first_id);
        assert_string_equal(first->client, "ci");
        assert_string_equal(first->key, "key");
        assert_int_equal(first->key_digest[0], 7);
        assert_string_equal(first->target_json, "\"bus\"");
        assert_string_equal(first->address, "2001:db8::7");
        assert_int_equal(first->created_wall_ms, 1000);
        int64_t left_ms = first->deadline_ms - clock_monotonic_ms();
        assert_true(left_ms > 30000 && left_ms <= 60001);
        assert_true(purchase->deadline_ms >= first->deadline_ms);
        assert_string_equal(second->id, second_id);
        assert_null(second->key);
        assert_null(second->sibling_next);
}

static void purchases_come_back_in_the_order_of_their_numbers(void **state)
{
        struct fixture *f = *state;
        struct purchase *first = new_purchase(f), *second = new_purchase(f);

        (void)add_job(first, "a", NULL);
        (void)add_job(second, "b", NULL);
        assert_int_equal(write_queued(f, second), 0);
        assert_int_equal(write_queued(f, first), 0);
        purchase_drop(first);
        purchase_drop(second);
        reload(f);
        assert_int_equal(f->purchase_count, 2);
        assert_string_equal(f->purchases[0].purchase->jobs->client, "a");
        assert_string_equal(f->purchases[1].purchase->jobs->client, "b");
        assert_true(store_next_number(f->store) > f->purchases[1].purchase->number);
}

static void an_accepted_purchase_comes_back_with_what_to_poll_and_without_its_body(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(fetch(f, purchase->number), 50000);
        assert_int_equal(write_sending(f, purchase), 0);
        assert_int_equal(fetch(f, purchase->number), 50000);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_ACCEPTED);
        record->upstream = "pro";
        (void)strcpy(record->upstream_id, "h-1");
        record->asked_at = strdup("1 https://up");
        assert_int_equal(write_record(f, record), 0);
        assert_int_equal(fetch(f, purchase->number), -ENOENT);
        assert_int_equal(f->pool.bytes, 0);
        purchase_drop(purchase);
        assert_int_equal(close_and_count_bodies(f), 0);
        load(f);

        purchase = f->purchases[0].purchase;
        assert_int_equal(purchase->state, JOB_ACCEPTED);
        assert_string_equal(purchase->upstream, "pro");
        assert_string_equal(purchase->upstream_id, "h-1");
        assert_string_equal(purchase->asked_at, "1 https://up");
        assert_true(purchase->sent_stored && !purchase->body_stored);
}

static void a_solved_purchase_comes_back_with_its_result_until_its_time_is_over(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        const struct loaded *loaded = &f->purchases[0];

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        assert_int_equal(write_solved(f, purchase), 0);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(loaded->purchase->state, JOB_SOLVED);
        assert_int_equal(loaded->outcome->state, JOB_SOLVED);
        assert_string_equal(loaded->outcome->text, "\"solution\":[1]");
        assert_true(loaded->finished <= clock_wall_ms() &&
                    loaded->finished > clock_wall_ms() - 60000);

        int64_t finished = loaded->finished;
        assert_int_equal(store_close(f->store), 0);
        load_from(f, finished - 1);
        assert_int_equal(f->purchase_count, 1);
        assert_int_equal(store_close(f->store), 0);
        load_from(f, finished);
        assert_int_equal(f->purchase_count, 0);
        close_store(f); /* the writer deletes it when it has time */
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM job"), 0);
        assert_int_equal(ask_file(f->file, "SELECT sum(count) FROM charge_day"), 1);
}

static void a_failed_purchase_comes_back_with_its_message(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_FAILED);
        record->outcome = outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, "zero balance");
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(f->purchases[0].outcome->error, JOB_UPSTREAM_REJECTED);
        assert_string_equal(f->purchases[0].outcome->text, "zero balance");
}

static void a_purchase_that_waits_without_a_body_is_forgotten(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_QUEUED);
        record->charge = STORE_CHARGE_NOT_CHARGED;
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(f->purchase_count, 0);
        assert_int_equal(
                ask_file(f->file, "SELECT count FROM ledger WHERE outcome = 'not_charged'"), 1);
}

static void a_purchase_whose_body_is_lost_is_forgotten_alone(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchases[3];

        for (int i = 0; i < 3; i++) {
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], "ci", NULL);
                assert_int_equal(write_queued(f, purchases[i]), 0);
        }
        close_store(f);
        run_on_file(f->bodies, "DELETE FROM body WHERE purchase = 2");
        load(f);
        assert_int_equal(f->purchase_count, 2);
        assert_int_equal(fetch(f, 1), 50000);
        assert_int_equal(fetch(f, 2), -ENOENT);
        assert_int_equal(fetch(f, 3), 50000);
        for (int i = 0; i < 3; i++)
                purchase_drop(purchases[i]);
}

static void a_body_that_a_crash_left_behind_goes_and_its_number_is_not_given_again(void **state)
{
        struct fixture *f = *state;
        struct purchase *waits = new_purchase(f), *done = new_purchase(f);

        (void)add_job(waits, "ci", NULL);
        (void)add_job(done, "ci", NULL);
        assert_int_equal(write_queued(f, waits), 0);
        assert_int_equal(write_queued(f, done), 0);
        assert_int_equal(write_solved(f, done), 0);
        assert_int_equal(close_and_count_bodies(f), 1);
        /* It went after the rows of 2 were written, and before those of 500 were. */
        run_on_file(f->bodies, "INSERT INTO body WITH RECURSIVE n(i) AS (SELECT 200 UNION ALL"
                               " SELECT i + 1 FROM n WHERE i < 500) SELECT i, x'61' FROM n;"
                               "INSERT INTO body VALUES (2, x'61')");
        load(f);
        assert_int_equal(f->purchase_count, 2);
        assert_int_equal(store_next_number(f->store), 501);
        assert_int_equal(fetch(f, done->number), -ENOENT);
        assert_int_equal(fetch(f, waits->number), 50000);
        assert_int_equal(close_and_count_bodies(f), 1);
        purchase_drop(waits);
        purchase_drop(done);
}

static void a_purchase_that_goes_back_to_the_queue_gets_its_body_if_it_has_none(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_QUEUED);
        record->body = new_body(f, 300);
        assert_int_equal(write_record(f, record), 0);
        assert_int_equal(write_queued(f, purchase), 0); /* adds what is there: changes nothing */
        assert_int_equal(fetch(f, purchase->number), 300);
        purchase_drop(purchase);
}

static void an_addition_leaves_a_purchase_that_has_moved_on_as_it_is(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        assert_int_equal(write_solved(f, purchase), 0);
        (void)add_job(purchase, "late", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(fetch(f, purchase->number), -ENOENT);
        purchase_drop(purchase);
        assert_int_equal(close_and_count_bodies(f), 0);
        load(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_SOLVED);
        assert_string_equal(f->purchases[0].purchase->jobs->sibling_next->client, "late");
}

static void a_job_that_ended_by_itself_comes_back_alone(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct job *job = add_job(purchase, "ci", NULL);
        struct store_record *record;
        char id[40];

        (void)strcpy(id, job->id);
        assert_int_equal(write_queued(f, purchase), 0);
        record = new_record(f);
        record->ended = job_ref(job);
        record->outcome = outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, "by its client");
        assert_int_equal(write_record(f, record), 0);
        record = new_record(f); /* nobody wants the purchase any more */
        record->move = STORE_PURCHASE_MOVE;
        record->purchase = purchase_ref(purchase);
        record->state = JOB_CANCELLED;
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        reload(f);

        assert_int_equal(f->purchase_count, 0);
        assert_non_null(f->ended);
        assert_string_equal(f->ended->id, id);
        assert_string_equal(f->ended->address, "2001:db8::7");
        assert_null(f->ended->purchase);
        assert_int_equal(f->ended_outcome->state, JOB_CANCELLED);
        assert_string_equal(f->ended_outcome->text, "by its client");
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 0);
        assert_int_equal(close_and_count_bodies(f), 0);
}

/* The second purchase has another job, and stays. */
static void several_jobs_end_by_one_record_each_with_its_outcome(void **state)
{
        struct fixture *f = *state;
        struct store_record *record;
        struct purchase *purchases[3];

        for (int i = 0; i < 3; i++) {
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], i == 2 ? "qa" : "ci", NULL);
        }
        (void)add_job(purchases[1], "stays", NULL);
        for (int i = 0; i < 3; i++)
                assert_int_equal(write_queued(f, purchases[i]), 0);
        record = new_record(f);
        record->endings = calloc(3, sizeof *record->endings);
        record->dropped = calloc(2, sizeof(struct purchase *));
        for (int i = 0; i < 3; i++) {
                struct outcome *outcome =
                        outcome_failed(JOB_FAILED, JOB_DEADLINE, i == 2 ? "late" : "too late");
                record->endings[record->ending_count++] =
                        (struct store_ending){job_ref(purchases[i]->jobs), outcome};
                if (i != 1)
                        record->dropped[record->dropped_count++] = purchase_ref(purchases[i]);
        }
        assert_int_equal(write_record(f, record), 0);
        for (int i = 0; i < 3; i++)
                purchase_drop(purchases[i]);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 1);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM job WHERE purchase IS NULL AND"
                                           " client = 'ci' AND text = 'too late'"),
                         2);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM job WHERE purchase IS NULL AND"
                                           " client = 'qa' AND text = 'late'"),
                         1);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM job"), 4);
        assert_int_equal(close_and_count_bodies(f), 1);
}

static void a_purchase_goes_with_the_last_of_its_jobs_and_its_charges_stay(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        static const char ledger[] = "SELECT count FROM ledger WHERE client = 'ci' AND"
                                     " upstream = 'pro' AND outcome = 'charged'";

        (void)add_job(purchase, "ci", NULL);
        (void)add_job(purchase, "qa", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        assert_int_equal(write_solved(f, purchase), 0);
        assert_int_equal(ask_file(f->file, ledger), 1);
        assert_int_equal(forget_jobs(f, purchase), 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM charge"), 0);
        assert_int_equal(ask_file(f->file, ledger), 1);
        assert_int_equal(forget_jobs(f, purchase), 0); /* once more: nothing is counted twice */
        assert_int_equal(ask_file(f->file, ledger), 1);
        purchase_drop(purchase);
}

static void a_purchase_that_is_not_final_stays_without_jobs(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        assert_int_equal(forget_jobs(f, purchase), 0);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 1);
        purchase_drop(purchase);
        reload(f); /* but nobody waits for it any more */
        assert_int_equal(f->purchase_count, 0);
}

static void add_ledger_row(void *arg, const struct store_ledger_row *row)
{
        int64_t *counts = arg;

        assert_string_equal(row->client, "ci");
        assert_string_equal(row->upstream, "pro");
        counts[row->charge] += row->count;
}

static void a_charge_that_a_crash_left_open_is_unknown(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        int64_t counts[STORE_CHARGE_UNKNOWN + 1] = {0};
        struct strbuf problem;

        (void)add_job(purchase, "ci", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        assert_int_equal(ask_file(f->file, "SELECT count FROM ledger WHERE outcome = 'open'"), 1);
        reload(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_SENDING);
        assert_int_equal(write_sending(f, purchase), 0); /* a second attempt */
        assert_int_equal(write_solved(f, purchase), 0);
        purchase_drop(purchase);
        assert_int_equal(store_close(f->store), 0);
        strbuf_init(&problem, 100);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_ledger(f->store, NULL, add_ledger_row, counts), 0);
        assert_int_equal(counts[STORE_CHARGE_UNKNOWN], 1);
        assert_int_equal(counts[STORE_CHARGE_CHARGED], 1);
        assert_int_equal(counts[STORE_CHARGE_OPEN], 0);
}

/* Goes back to the queue, with a body to wait for. */
static void write_back(struct fixture *f, struct purchase *purchase)
{
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_QUEUED);

        record->body = new_body(f, 300);
        record->charge = STORE_CHARGE_UNKNOWN;
        assert_int_equal(write_record(f, record), 0);
}

static void a_purchase_that_waits_again_was_not_sent_and_is_paid_by_who_paid(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "a", NULL);
        (void)add_job(purchase, "b", NULL);
        assert_int_equal(write_sending_for(f, purchase, purchase->jobs->sibling_next, 5000), 0);
        write_back(f, purchase);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(f->purchases[0].purchase->sent_wall_ms, 0);
        assert_true(f->purchases[0].purchase->doubtful);
        assert_string_equal(f->purchases[0].purchase->jobs->client, "b");
        assert_false(f->purchases[0].purchase->unpaid);
}

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))

static void add_usage_row(void *arg, const struct store_usage_row *row)
{
        char *rows = arg;
        size_t len = strlen(rows);

        (void)snprintf(rows + len, 100 - len, "%s:%lld:%lld ", row->client, (long long)row->day,
                       (long long)row->count);
}

/* The last moment of a day, or the first one, and how it went: NONE leaves it open. */
static void charge_once(struct fixture *f, const char *client, int64_t wall_ms,
                        enum store_charge charge, bool forgotten)
{
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, client, NULL);
        assert_int_equal(write_sending_for(f, purchase, purchase->jobs, wall_ms), 0);
        if (charge != STORE_CHARGE_NONE) {
                struct store_record *record =
                        record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_FAILED);
                record->charge = charge;
                assert_int_equal(write_record(f, record), 0);
        }
        if (forgotten)
                assert_int_equal(forget_jobs(f, purchase), 0);
        purchase_drop(purchase);
}

static void usage_counts_what_was_or_may_have_been_charged_by_client_and_day(void **state)
{
        struct fixture *f = *state;
        char rows[100] = "";
        struct strbuf problem;

        charge_once(f, "ci", 11 * DAY_MS - 1, STORE_CHARGE_CHARGED, false); /* the day before */
        charge_once(f, "ci", 11 * DAY_MS, STORE_CHARGE_CHARGED, false);
        charge_once(f, "ci", 12 * DAY_MS - 1, STORE_CHARGE_CHARGED, true);
        charge_once(f, "ci", 11 * DAY_MS, STORE_CHARGE_UNKNOWN, false);
        charge_once(f, "ci", 11 * DAY_MS, STORE_CHARGE_NOT_CHARGED, false);
        charge_once(f, "ci", 11 * DAY_MS, STORE_CHARGE_NOT_CHARGED, true);
        charge_once(f, "ci", 12 * DAY_MS, STORE_CHARGE_NONE, false);
        charge_once(f, "qa", 12 * DAY_MS, STORE_CHARGE_UNKNOWN, true);
        close_store(f);
        strbuf_init(&problem, 100);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        assert_int_equal(store_usage(f->store, NULL, add_usage_row, rows), 0);
        assert_string_equal(rows, "qa:12:1 ci:12:1 ci:11:3 ci:10:1 ");
}

/* Whatever the clock says today: by it all of them may be old, or to come. */
static void the_ledger_keeps_the_latest_days_that_there_are(void **state)
{
        struct fixture *f = *state;

        close_store(f);
        run_on_file(f->file, "INSERT INTO charge_day WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                             " SELECT i + 1 FROM n WHERE i < 801)"
                             " SELECT i, 'ci', 'pro', 2, 1 FROM n"
                             " UNION ALL SELECT 90000, 'ci', 'pro', 2, 1");
        load(f);
        close_store(f); /* the writer deletes them when it has time */
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM charge_day"), 800);
        assert_int_equal(ask_file(f->file, "SELECT min(day) FROM charge_day"), 3);
        assert_int_equal(ask_file(f->file, "SELECT max(day) FROM charge_day"), 90000);
}

static void records_are_told_in_the_order_in_which_they_came(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchases[3];

        for (int i = 0; i < 3; i++) {
                purchases[i] = new_purchase(f);
                (void)add_job(purchases[i], (const char *const[]){"a", "b", "c"}[i], NULL);
                store_write(f->store,
                            record_for(f, STORE_PURCHASE_MOVE, purchases[i], JOB_SENDING));
        }
        while (f->told < 3)
                loop_run(f->loop);
        assert_string_equal(f->order, "abc");
        for (int i = 0; i < 3; i++)
                purchase_drop(purchases[i]);
}

static void a_record_that_contradicts_what_is_there_fails_alone(void **state)
{
        struct fixture *f = *state;
        struct purchase *good = new_purchase(f), *bad = new_purchase(f), *last = new_purchase(f);
        struct store_record *record;

        (void)add_job(good, "good", NULL);
        (void)add_job(bad, "bad", NULL);
        (void)add_job(last, "last", NULL);
        store_write(f->store, record_for(f, STORE_PURCHASE_MOVE, good, JOB_SENDING));
        record = record_for(f, STORE_PURCHASE_NONE, bad, JOB_SENDING); /* jobs of no purchase */
        record->must = true;
        store_write(f->store, record);
        while (f->told < 2)
                loop_run(f->loop);
        assert_int_equal(f->error, -EPROTO);
        assert_true(store_healthy(f->store));
        assert_int_equal(write_queued(f, last), 0);
        purchase_drop(good);
        purchase_drop(bad);
        purchase_drop(last);
        fail_never();
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM purchase"), 2);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM job WHERE client = 'bad'"), 0);
}

/* A record without a body comes first, and an end by itself may do so. */
static void an_end_that_is_written_before_its_job_is_added_stays(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct job *job = add_job(purchase, "early", NULL);
        struct store_record *record = new_record(f);

        (void)add_job(purchase, "late", NULL);
        record->ended = job_ref(job);
        record->outcome = outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, "by its client");
        assert_int_equal(write_record(f, record), 0);
        assert_int_equal(write_queued(f, purchase), 0);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(f->purchase_count, 1);
        assert_int_equal(f->purchases[0].purchase->state, JOB_QUEUED);
        assert_string_equal(f->purchases[0].purchase->jobs->client, "late");
        assert_null(f->purchases[0].purchase->jobs->sibling_next);
        assert_string_equal(f->ended->client, "early");
        assert_int_equal(f->ended_outcome->state, JOB_CANCELLED);
}

#define LARGE (4 << 20)

/* Gives, before the writer has time, a purchase with a body and a record that cancels it; if that
 * is wrong, it can never be written. */
static void give_with_cancel(struct fixture *f, bool wrong)
{
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "ci", NULL);
        record = record_for(f, STORE_PURCHASE_ADD, purchase, JOB_QUEUED);
        record->body = new_body(f, LARGE);
        store_write(f->store, record);
        record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_CANCELLED);
        record->must = true;
        if (wrong)
                record->ended = job_ref(purchase->jobs); /* without an outcome */
        store_write(f->store, record);
        purchase_drop(purchase);
}

static void give_cancelled(struct fixture *f)
{
        give_with_cancel(f, false);
}

static void the_body_of_a_cancelled_purchase_is_not_written(void **state)
{
        struct fixture *f = *state;

        f->before_start = give_cancelled;
        load(f);
        while (f->told < 2)
                loop_run(f->loop);
        assert_int_equal(f->error, 0);
        assert_true(file_bytes(f->bodies, "") < LARGE);
        close_store(f);
        assert_int_equal(ask_file(f->file, "SELECT state FROM purchase"), JOB_CANCELLED);
}

static void give_cancelled_wrongly(struct fixture *f)
{
        give_with_cancel(f, true);
}

static void a_body_is_written_if_the_cancelling_record_never_can_be(void **state)
{
        struct fixture *f = *state;

        f->before_start = give_cancelled_wrongly;
        load(f);
        while (f->told < 2)
                loop_run(f->loop);
        assert_int_equal(f->error, -EPROTO);
        assert_int_equal(fetch(f, f->number), LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(a_waiting_purchase_comes_back_with_its_jobs_in_order),
                ON_STORE(purchases_come_back_in_the_order_of_their_numbers),
                ON_STORE(an_accepted_purchase_comes_back_with_what_to_poll_and_without_its_body),
                ON_STORE(a_solved_purchase_comes_back_with_its_result_until_its_time_is_over),
                ON_STORE(a_failed_purchase_comes_back_with_its_message),
                ON_STORE(a_purchase_that_waits_without_a_body_is_forgotten),
                ON_STORE(a_purchase_whose_body_is_lost_is_forgotten_alone),
                ON_STORE(a_body_that_a_crash_left_behind_goes_and_its_number_is_not_given_again),
                ON_STORE(a_purchase_that_goes_back_to_the_queue_gets_its_body_if_it_has_none),
                ON_STORE(an_addition_leaves_a_purchase_that_has_moved_on_as_it_is),
                ON_STORE(a_job_that_ended_by_itself_comes_back_alone),
                ON_STORE(several_jobs_end_by_one_record_each_with_its_outcome),
                ON_STORE(a_purchase_goes_with_the_last_of_its_jobs_and_its_charges_stay),
                ON_STORE(a_purchase_that_is_not_final_stays_without_jobs),
                ON_STORE(a_charge_that_a_crash_left_open_is_unknown),
                ON_STORE(a_purchase_that_waits_again_was_not_sent_and_is_paid_by_who_paid),
                ON_STORE(usage_counts_what_was_or_may_have_been_charged_by_client_and_day),
                ON_STORE(the_ledger_keeps_the_latest_days_that_there_are),
                ON_STORE(records_are_told_in_the_order_in_which_they_came),
                ON_STORE(a_record_that_contradicts_what_is_there_fails_alone),
                ON_STORE(an_end_that_is_written_before_its_job_is_added_stays),
                ON_DIRECTORY(the_body_of_a_cancelled_purchase_is_not_written),
                ON_DIRECTORY(a_body_is_written_if_the_cancelling_record_never_can_be),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
