/*
 * Rows of two gateways in one database: each loads its own.
 */
#include "job/number.h"
#include "store_fixture.h"

#include <string.h>

#define OTHER 3 /* the number of the other gateway */
#define N     7 /* of its purchase that waits */

static struct purchase *new_numbered(int64_t number, const char *client)
{
        struct task_identity identity = {{(unsigned char)number}};
        struct purchase *purchase;

        assert_int_equal(purchase_new(number, &identity, strdup("a.example"), NULL, &purchase), 0);
        (void)add_job(purchase, client, NULL);
        return purchase;
}

/* Writes one purchase that waits, one that is being sent and one that is solved. */
static void write_rows(struct fixture *f, int64_t gateway, const char *client)
{
        struct purchase *waits = new_numbered(number_of(gateway, N), client);
        struct purchase *sending = new_numbered(number_of(gateway, N - 1), client);
        struct purchase *solved = new_numbered(number_of(gateway, N - 2), client);

        assert_int_equal(write_queued(f, waits), 0);
        assert_int_equal(write_sending(f, sending), 0);
        assert_int_equal(write_sending(f, solved), 0);
        assert_int_equal(write_solved(f, solved), 0);
        purchase_drop(waits);
        purchase_drop(sending);
        purchase_drop(solved);
}

static void write_ended(struct fixture *f)
{
        struct purchase *purchase = new_numbered(number_of(0, 1), "own");
        struct store_record *record = new_record(f);

        record->ended = job_ref(purchase->jobs);
        record->outcome = outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, "");
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
}

static void load_of(struct fixture *f, int64_t gateway)
{
        const struct store_filter filter = {gateway};

        close_store(f);
        f->filter = &filter;
        load(f);
        f->filter = NULL;
}

static void expect_rows(struct fixture *f, int64_t gateway, const char *client)
{
        const struct loaded *loaded = f->purchases;

        assert_int_equal(f->purchase_count, 3);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(loaded[i].purchase->number, number_of(gateway, N - 2 + i));
                assert_string_equal(loaded[i].purchase->jobs->client, client);
        }
        assert_int_equal(loaded[0].purchase->state, JOB_SOLVED);
        assert_int_equal(loaded[1].purchase->state, JOB_SENDING);
        assert_true(loaded[2].purchase->body_stored);
        assert_int_equal(fetch(f, number_of(gateway, N)), 50000);
        assert_int_equal(store_next_number(f->store), number_of(gateway, N + 1));
}

static void each_gateway_loads_its_own_rows(void **state)
{
        struct fixture *f = *state;

        write_rows(f, 0, "own");
        write_ended(f);
        write_rows(f, OTHER, "other");
        load_of(f, OTHER);
        expect_rows(f, OTHER, "other");
        assert_null(f->ended);
        load_of(f, 0);
        expect_rows(f, 0, "own");
        assert_non_null(f->ended);
}

/* Charges that are open, and bodies that nobody in the own rows waits for. */
static void the_rows_of_the_others_stay_as_they_are(void **state)
{
        struct fixture *f = *state;

        write_rows(f, 0, "own");
        write_rows(f, OTHER, "other");
        load_of(f, OTHER);
        assert_int_equal(ask_file(f->file, "SELECT count(*) FROM charge WHERE outcome = 1"), 1);
        assert_int_equal(ask_file(f->file, "SELECT purchase >> 32 FROM charge WHERE outcome = 4"),
                         OTHER);
        assert_int_equal(close_and_count_bodies(f), 2);
}

static void a_gateway_without_rows_begins_its_numbers(void **state)
{
        struct fixture *f = *state;

        write_rows(f, 0, "own");
        write_rows(f, OTHER, "other");
        load_of(f, OTHER - 1);
        assert_int_equal(f->purchase_count, 0);
        assert_int_equal(store_next_number(f->store), number_of(OTHER - 1, 1));
}

static void without_a_filter_all_are_loaded(void **state)
{
        struct fixture *f = *state;

        write_rows(f, 0, "own");
        write_rows(f, OTHER, "other");
        reload(f);
        assert_int_equal(f->purchase_count, 6);
        assert_int_equal(store_next_number(f->store), number_of(OTHER, N + 1));
}

/* ---- the sums ---- */

struct sums {
        const char *client; /* of all rows */
        int64_t count;
};

static void add_ledger(void *arg, const struct store_ledger_row *row)
{
        struct sums *sums = arg;

        assert_string_equal(row->client, sums->client);
        sums->count += row->count;
}

static void add_usage(void *arg, const struct store_usage_row *row)
{
        struct sums *sums = arg;

        assert_string_equal(row->client, sums->client);
        sums->count += row->count;
}

static int summed; /* loads */

static void sum_charges(struct fixture *f)
{
        struct sums ledger = {f->filter->gateway == OTHER ? "other" : "own", 0};
        struct sums usage = ledger;

        summed++;
        assert_int_equal(store_ledger(f->store, f->filter, add_ledger, &ledger), 0);
        assert_int_equal(store_usage(f->store, f->filter, add_usage, &usage), 0);
        /* What was folded into a day has no number any more, and is gateway 0's. */
        assert_int_equal(ledger.count, f->filter->gateway == OTHER ? 2 : 2 + 5);
        assert_int_equal(usage.count, ledger.count);
}

static void each_gateway_sums_its_own_charges(void **state)
{
        struct fixture *f = *state;

        write_rows(f, 0, "own");
        write_rows(f, OTHER, "other");
        run_on_file(f->file, "INSERT INTO charge_day VALUES (20000, 'own', 'pro', 2, 5)");
        f->before_start = sum_charges;
        load_of(f, OTHER);
        load_of(f, 0);
        assert_int_equal(summed, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(each_gateway_loads_its_own_rows),
                ON_STORE(the_rows_of_the_others_stay_as_they_are),
                ON_STORE(a_gateway_without_rows_begins_its_numbers),
                ON_STORE(without_a_filter_all_are_loaded),
                ON_STORE(each_gateway_sums_its_own_charges),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
