/*
 * Who pays for a purchase, as the store gives it back.
 */
#include "base/clock.h"
#include "store_fixture.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

/* Goes back to the queue, with a body to wait for. */
static void write_back(struct fixture *f, struct purchase *purchase)
{
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_QUEUED);

        record->body = new_body(f, 300);
        record->charge = STORE_CHARGE_UNKNOWN;
        assert_int_equal(write_record(f, record), 0);
}

static void who_paid_for_a_purchase_that_was_sent_comes_back_first(void **state)
{
        struct fixture *f = *state;
        struct purchase *sending = new_purchase(f), *accepted = new_purchase(f);
        struct store_record *record;

        for (int i = 0; i < 3; i++) {
                static const char *const clients[] = {"a", "b", "c"};
                (void)add_job(sending, clients[i], NULL);
                (void)add_job(accepted, clients[i], NULL);
        }
        assert_int_equal(write_sending_for(f, sending, sending->jobs, 5000), 0);
        write_back(f, sending);
        assert_int_equal(write_sending_for(f, sending, sending->jobs->sibling_next, 7000), 0);
        assert_int_equal(write_sending_for(f, accepted, accepted->jobs->sibling_prev, 9000), 0);
        record = record_for(f, STORE_PURCHASE_MOVE, accepted, JOB_ACCEPTED);
        record->charge = STORE_CHARGE_CHARGED;
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(sending);
        purchase_drop(accepted);
        reload(f);

        const struct job *jobs = f->purchases[0].purchase->jobs;
        assert_int_equal(f->purchases[0].purchase->sent_wall_ms, 7000);
        assert_string_equal(jobs->client, "b");
        assert_string_equal(jobs->sibling_next->client, "a");
        assert_string_equal(jobs->sibling_next->sibling_next->client, "c");
        assert_int_equal(f->purchases[1].purchase->sent_wall_ms, 9000);
        assert_string_equal(f->purchases[1].purchase->jobs->client, "c");
}

/* A purchase that the last of its three jobs paid, which has ended by itself; its id is copied. */
static void write_without_payer(struct fixture *f, char ret_id[static JOB_ID_CHARS + 1])
{
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "a", NULL);
        (void)add_job(purchase, "b", NULL);
        struct job *payer = add_job(purchase, "c", NULL);
        assert_int_equal(write_sending_for(f, purchase, payer, 5000), 0);
        record = new_record(f);
        record->ended = job_ref(payer);
        record->outcome = outcome_failed(JOB_FAILED, JOB_DEADLINE, "too late");
        assert_int_equal(write_record(f, record), 0);
        memcpy(ret_id, payer->id, JOB_ID_CHARS + 1);
        purchase_drop(purchase);
}

static void who_paid_and_has_left_comes_back_beside_the_jobs_that_are_there(void **state)
{
        struct fixture *f = *state;
        char id[JOB_ID_CHARS + 1];

        write_without_payer(f, id);
        reload(f);
        const struct purchase *purchase = f->purchases[0].purchase;
        assert_string_equal(purchase->jobs->client, "a");
        assert_string_equal(purchase->jobs->sibling_next->client, "b");
        assert_null(purchase->jobs->sibling_next->sibling_next);
        assert_int_equal(purchase->sent_wall_ms, 5000);
        assert_non_null(purchase->payer);
        assert_string_equal(purchase->payer->id, id);
        assert_string_equal(purchase->payer->client, "c");
        assert_string_equal(purchase->payer->address, "2001:db8::7");
        assert_false(purchase->payer->attached);
}

static void who_paid_and_was_forgotten_comes_back_without_his_address(void **state)
{
        struct fixture *f = *state;
        char id[JOB_ID_CHARS + 1];

        write_without_payer(f, id);
        assert_int_equal(store_close(f->store), 0);
        load_from(f, clock_wall_ms());
        assert_null(f->ended);
        reload(f); /* by now its row was deleted */
        assert_null(f->ended);
        assert_string_equal(f->purchases[0].purchase->payer->id, id);
        assert_string_equal(f->purchases[0].purchase->payer->client, "c");
        assert_string_equal(f->purchases[0].purchase->payer->address, "");
}

static void who_paid_and_is_there_is_no_other_job(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        (void)add_job(purchase, "a", NULL);
        assert_int_equal(write_sending(f, purchase), 0);
        purchase_drop(purchase);
        reload(f);
        assert_int_equal(f->purchases[0].purchase->state, JOB_SENDING);
        assert_null(f->purchases[0].purchase->payer);
}

static void pay(struct fixture *f, struct purchase *purchase, const struct job *payer)
{
        struct store_record *record = new_record(f);

        record->purchase = purchase_ref(purchase);
        (void)strcpy(record->payer, payer->id);
        assert_int_equal(write_record(f, record), 0);
}

static void who_pays_for_what_waits_comes_back_first(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);

        for (int i = 0; i < 3; i++)
                (void)add_job(purchase, (const char *[]){"a", "b", "c"}[i], NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        pay(f, purchase, purchase->jobs->sibling_prev);
        pay(f, purchase, purchase->jobs->sibling_next);
        purchase_drop(purchase);
        reload(f);
        const struct job *jobs = f->purchases[0].purchase->jobs;
        assert_string_equal(jobs->client, "b");
        assert_string_equal(jobs->sibling_next->client, "a");
        assert_string_equal(jobs->sibling_next->sibling_next->client, "c");
        assert_null(f->purchases[0].purchase->payer);
}

static void a_payer_is_written_together_with_a_move(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "a", NULL);
        (void)add_job(purchase, "b", NULL);
        record = record_for(f, STORE_PURCHASE_ADD, purchase, JOB_QUEUED);
        record->body = new_body(f, 300);
        (void)strcpy(record->payer, purchase->jobs->sibling_next->id);
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        reload(f);
        assert_string_equal(f->purchases[0].purchase->jobs->client, "b");
}

static void where_who_pays_for_what_waits_has_left_the_order_is_that_of_arrival(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = new_purchase(f);
        struct store_record *record;

        (void)add_job(purchase, "a", NULL);
        (void)add_job(purchase, "b", NULL);
        assert_int_equal(write_queued(f, purchase), 0);
        record = new_record(f);
        record->ended = job_ref(add_job(purchase, "c", NULL));
        record->outcome = outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, "");
        pay(f, purchase, record->ended);
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        reload(f);
        assert_string_equal(f->purchases[0].purchase->jobs->client, "a");
        assert_null(f->purchases[0].purchase->payer);
        assert_true(f->purchases[0].purchase->unpaid);
}

/* Two tries may have been charged, of a and of c; b is to pay for the next one. */
static struct purchase *write_two_payers(struct fixture *f)
{
        struct purchase *purchase = new_purchase(f);

        for (int i = 0; i < 3; i++)
                (void)add_job(purchase, (const char *[]){"a", "b", "c"}[i], NULL);
        assert_int_equal(write_sending_for(f, purchase, purchase->jobs, 5000), 0);
        write_back(f, purchase);
        assert_int_equal(write_sending_for(f, purchase, purchase->jobs->sibling_prev, 7000), 0);
        write_back(f, purchase);
        pay(f, purchase, purchase->jobs->sibling_next);
        return purchase;
}

static void each_job_that_may_have_been_charged_is_paid_while_it_waits(void **state)
{
        struct fixture *f = *state;

        purchase_drop(write_two_payers(f));
        reload(f);
        const struct job *jobs = f->purchases[0].purchase->jobs;
        assert_string_equal(jobs->client, "b");
        assert_false(jobs->paid);
        assert_string_equal(jobs->sibling_next->client, "a");
        assert_true(jobs->sibling_next->paid);
        assert_true(jobs->sibling_next->sibling_next->paid);
}

static void and_when_it_is_final(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = write_two_payers(f);
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_FAILED);
        const struct job *job;

        record->outcome = outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, "no");
        assert_int_equal(write_record(f, record), 0);
        purchase_drop(purchase);
        reload(f);
        DL_FOREACH2 (f->purchases[0].purchase->jobs, job, sibling_next)
                assert_int_equal(job->paid, strcmp(job->client, "b") != 0);
}

static void a_payer_of_no_purchase_is_refused(void **state)
{
        struct fixture *f = *state;
        struct store_record *record = new_record(f);

        (void)strcpy(record->payer, "h-aaaaaaaaaaaaaaaaaaaaaaaa");
        assert_int_equal(write_record(f, record), -EPROTO);
        assert_true(store_healthy(f->store));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(who_paid_for_a_purchase_that_was_sent_comes_back_first),
                ON_STORE(who_paid_and_has_left_comes_back_beside_the_jobs_that_are_there),
                ON_STORE(who_paid_and_was_forgotten_comes_back_without_his_address),
                ON_STORE(who_paid_and_is_there_is_no_other_job),
                ON_STORE(who_pays_for_what_waits_comes_back_first),
                ON_STORE(a_payer_is_written_together_with_a_move),
                ON_STORE(where_who_pays_for_what_waits_has_left_the_order_is_that_of_arrival),
                ON_STORE(each_job_that_may_have_been_charged_is_paid_while_it_waits),
                ON_STORE(and_when_it_is_final),
                ON_STORE(a_payer_of_no_purchase_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
