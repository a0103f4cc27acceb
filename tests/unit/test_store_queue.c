/*
 * The order in which the store writes records.
 */
#include "store_queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include <cmocka.h>

static void give_a_hundred(struct fixture *f)
{
        give_bodies(f, &f->big, 100, 100);
}

static bool in_batch(const struct fixture *f, const struct store_record *record)
{
        const struct store_item *item;

        DL_FOREACH (f->batch, item) {
                if (item == &record->item)
                        return true;
        }
        return false;
}

static void a_record_without_a_body_is_in_the_next_transaction(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        const struct store_record *record = give(f, moved(f->purchases[0], JOB_SENDING));
        assert_int_equal(take(f), 2);
        assert_true(f->batch == &record->item);
        finish(f);
}

static void a_body_of_another_client_is_in_the_next_transaction(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        const struct store_record *record =
                give(f, with_body(f, &f->small, f->purchases[0], 100000));
        assert_int_equal(take(f), 2);
        assert_true(in_batch(f, record));
        finish(f);
}

static void a_large_body_of_another_client_is_next_but_one(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        const struct store_record *record =
                give(f, with_body(f, &f->small, f->purchases[0], LARGE));
        assert_int_equal(take(f), 1);
        assert_false(in_batch(f, record));
        finish(f);
        assert_int_equal(take(f), 1);
        assert_true(in_batch(f, record));
        finish(f);
}

static void small_bodies_of_one_client_share_a_transaction(void **state)
{
        struct fixture *f = *state;

        for (int i = 0; i < PURCHASES; i++)
                (void)give(f, with_body(f, &f->small, f->purchases[i], 100000));
        assert_int_equal(take(f), PURCHASES);
        finish(f);
}

static void a_record_waits_behind_those_of_its_purchase_only(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = f->purchases[0];

        const struct store_record *queued = give(f, with_body(f, &f->big, purchase, LARGE));
        give_a_hundred(f);
        const struct store_record *sending = give(f, moved(purchase, JOB_SENDING));
        assert_int_equal(take(f), 2);
        assert_true(f->batch == &queued->item);
        assert_true(f->batch->next == &sending->item);
        assert_true(queued->body_needed);
        finish(f);
}

static void a_sending_does_not_overtake_the_return_to_the_queue(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = f->purchases[0];
        struct store_record *returned = with_body(f, &f->big, purchase, LARGE);

        give_a_hundred(f);
        returned->move = STORE_PURCHASE_MOVE;
        (void)give(f, returned);
        const struct store_record *sending = give(f, moved(purchase, JOB_SENDING));
        assert_int_equal(take(f), 2); /* before the hundred of its client, which have no slot */
        assert_true(f->batch == &returned->item);
        assert_true(f->batch->next == &sending->item);
        finish(f);
}

static void a_deletion_does_not_overtake_what_adds_the_row(void **state)
{
        struct fixture *f = *state;

        const struct store_record *adds = give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        give_a_hundred(f);
        const struct store_record *deletes = give(f, new_record(f->purchases[0]));
        assert_int_equal(take(f), 2);
        assert_true(f->batch == &adds->item);
        assert_true(f->batch->next == &deletes->item);
        finish(f);
}

/* As of store_forget(). */
static void a_deletion_that_has_time_waits_for_the_oldest_record(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, moved(f->purchases[0], JOB_SENDING));
        assert_int_equal(store_queue_oldest_locked(&f->store), 0);
        assert_int_equal(take(f), 2); /* the first and the last */
        assert_int_equal(store_queue_oldest_locked(&f->store), 1);
        store_queue_return_locked(&f->store, f->batch);
        assert_int_equal(store_queue_oldest_locked(&f->store), 0);
}

static void a_dropped_purchase_needs_no_turn_and_no_body(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        struct store_record *queued[PURCHASES];
        for (int i = 0; i < PURCHASES; i++)
                queued[i] = give(f, with_body(f, &f->big, f->purchases[i], LARGE));
        const struct store_record *drop = give(f, dropping(f->purchases, PURCHASES));
        assert_int_equal(take(f), PURCHASES + 2); /* and one of the hundred */
        for (int i = 0; i < PURCHASES; i++) {
                assert_true(in_batch(f, queued[i]));
                assert_false(queued[i]->body_needed);
        }
        assert_true(in_batch(f, drop));
        assert_true(store_record_of(f->batch->prev)->body_needed);
        finish(f);
}

static void a_body_is_needed_if_the_drop_can_never_be_written(void **state)
{
        struct fixture *f = *state;

        struct store_record *queued = give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        struct store_record *drop = give(f, dropping(f->purchases, 1));
        assert_int_equal(take(f), 2);
        assert_false(queued->body_needed);
        drop->error = -1;
        store_queue_mark_bodies(f->batch);
        assert_true(queued->body_needed);
        finish(f);
}

/* More than fits into a transaction, so the drop is alone with what goes with it. */
static void a_drop_is_never_parted_from_the_bodies_that_it_saves(void **state)
{
        struct fixture *f = *state;

        for (int i = 0; i < STORE_BATCH_STEPS - 2; i++)
                (void)give(f, moved(f->purchases[1], JOB_SENDING));
        struct store_record *queued = give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        (void)give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        (void)give(f, moved(f->purchases[0], JOB_CANCELLED));
        assert_int_equal(take(f), STORE_BATCH_STEPS - 2);
        finish(f);
        assert_int_equal(take(f), 3);
        assert_false(queued->body_needed);
        finish(f);
}

static struct store_record *join(struct fixture *f, struct purchase *purchase,
                                 struct store_line *payer, struct store_line *line)
{
        struct store_record *joins = with_body(f, payer, purchase, 1000);

        joins->lines[1] = line;
        return give(f, joins);
}

static void a_client_that_joins_a_purchase_in_a_long_line_does_not_wait_for_it(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->big, f->purchases[0], 1000));
        const struct store_record *joins = join(f, f->purchases[0], &f->big, &f->small);
        assert_int_equal(take(f), 3);
        assert_true(in_batch(f, joins));
        finish(f);
}

/* As of a job that joins before the body is stored. */
static struct store_record *with_body_of(struct fixture *f, struct store_record *other)
{
        struct store_record *record = with_body(f, other->lines[0], other->purchase, 0);

        body_unref(record->body);
        record->body = body_ref(other->body);
        return record;
}

static void jobs_that_share_a_body_have_it_written_once_in_one_transaction(void **state)
{
        struct fixture *f = *state;
        struct store_record *records[21];

        records[0] = give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        for (int i = 1; i < 21; i++) {
                if (i % 7 == 0)
                        (void)give(f, new_record(f->purchases[0]));
                records[i] = give(f, with_body_of(f, records[0]));
        }
        assert_int_equal(take(f), 23);
        assert_true(records[0]->body_needed);
        for (int i = 1; i < 21; i++)
                assert_false(records[i]->body_needed);
        store_queue_return_locked(&f->store, f->batch); /* it failed, and is tried again */
        assert_int_equal(take(f), 23);
        finish(f);
}

static void a_body_is_written_for_a_later_job_if_the_first_can_never_be_written(void **state)
{
        struct fixture *f = *state;

        struct store_record *first = give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        struct store_record *second = give(f, with_body_of(f, first));
        const struct store_record *third = give(f, with_body_of(f, first));
        assert_int_equal(take(f), 3);
        first->error = -1;
        store_queue_mark_bodies(f->batch);
        assert_true(second->body_needed);
        assert_false(third->body_needed);
        second->error = -1;
        store_queue_mark_bodies(f->batch);
        assert_true(third->body_needed);
        finish(f);
}

static void a_body_that_was_read_again_is_another_one(void **state)
{
        struct fixture *f = *state;

        (void)give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        const struct store_record *other = give(f, with_body(f, &f->big, f->purchases[0], 1000));
        const struct store_record *purchase = give(f, with_body(f, &f->big, f->purchases[1], 1000));
        assert_int_equal(take(f), 3);
        assert_true(other->body_needed && purchase->body_needed);
        finish(f);
}

static void a_client_that_joins_waits_for_its_own_bodies_only(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->big, f->purchases[0], 1000));
        (void)give(f, with_body(f, &f->small, f->purchases[1], LARGE));
        const struct store_record *joins = join(f, f->purchases[0], &f->big, &f->small);
        assert_int_equal(take(f), 1); /* of the hundred */
        finish(f);
        assert_int_equal(take(f), 3);
        assert_true(in_batch(f, joins));
        finish(f);
}

static void a_client_that_joins_does_not_make_the_payer_wait_for_its_bodies(void **state)
{
        struct fixture *f = *state;

        const struct store_record *pays = give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        const struct store_record *second = give(f, with_body(f, &f->big, f->purchases[1], LARGE));
        give_a_hundred(f);
        give_bodies(f, &f->small, 300, 2);
        (void)join(f, f->purchases[0], &f->big, &f->small);
        (void)join(f, f->purchases[1], &f->big, &f->small);
        assert_int_equal(take(f), 2);
        assert_true(in_batch(f, pays));
        finish(f);
        assert_int_equal(take(f), 1); /* of the client that joined */
        finish(f);
        assert_int_equal(take(f), 2);
        assert_true(in_batch(f, second));
        finish(f);
}

static void a_client_with_a_long_line_moves_nothing(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->big, f->purchases[0], 1000));
        give_bodies(f, &f->small, 300, 65);
        (void)join(f, f->purchases[0], &f->big, &f->small);
        assert_ptr_equal(f->purchases[0]->store_group.line, &f->big);
}

static void reading_a_body_takes_turns_and_keeps_its_place(void **state)
{
        struct fixture *f = *state;
        struct store_fetch fetch = {.purchase = f->purchases[0], .line = &f->small};

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->small, f->purchases[0], LARGE));
        fetch.item.is_fetch = true;
        store_queue_add_locked(&f->store, &fetch.item);
        for (int i = 0; i < 2; i++) {
                assert_null(store_queue_take_fetch_locked(&f->store));
                assert_int_equal(take(f), 1);
                finish(f);
        }
        while (!store_queue_fetches_locked(&f->store)) {
                assert_int_equal(take(f), 1);
                finish(f);
        }
        assert_true(f->big.count >= 98);
        assert_ptr_equal(store_queue_take_fetch_locked(&f->store), &fetch);
}

/* Takes the next body to be read, with the writing before it. Returns its purchase. */
static const struct purchase *take_fetch(struct fixture *f)
{
        while (!store_queue_fetches_locked(&f->store)) {
                assert_true(take(f) > 0);
                finish(f);
        }
        struct store_fetch *fetch = store_queue_take_fetch_locked(&f->store);
        const struct purchase *purchase = fetch->purchase;
        free(fetch);
        return purchase;
}

static void bodies_of_a_client_are_read_in_the_order_of_the_requests(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        for (int i = 0; i < PURCHASES; i++)
                (void)give_fetch(f, f->purchases[i], &f->big);
        for (int i = 0; i < PURCHASES; i++)
                assert_ptr_equal(take_fetch(f), f->purchases[i]);
        assert_true(f->big.count >= 99);
}

/* A sending brings the body along with retry.on_unknown = "retry". */
static void a_sending_with_a_body_does_not_wait_for_those_that_have_no_slot(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        const struct store_record *sendings[2];
        for (int i = 0; i < 2; i++) { /* one that waits already, and one that does not */
                struct store_record *sending = with_body(f, &f->big, f->purchases[i], 1000);
                sending->move = STORE_PURCHASE_MOVE;
                sending->state = JOB_SENDING;
                sendings[i] = give(f, sending);
        }
        assert_int_equal(take(f), 3);
        assert_true(in_batch(f, sendings[0]) && in_batch(f, sendings[1]));
        finish(f);
}

/* As after a restart with many jobs: another purchase is sent whenever one was served. */
static void what_is_being_sent_does_not_starve_behind_later_purchases(void **state)
{
        struct fixture *f = *state;
        const int served = 5 * PURCHASES;

        give_a_hundred(f);
        for (int i = 0; i < PURCHASES - 1; i++)
                (void)give_fetch(f, f->purchases[i], &f->big);
        for (int i = 0; i < served; i++) {
                (void)give_fetch(f, f->purchases[(i + PURCHASES - 1) % PURCHASES], &f->big);
                assert_ptr_equal(take_fetch(f), f->purchases[i % PURCHASES]);
        }
        for (int i = 0; i < PURCHASES - 1; i++)
                (void)take_fetch(f);
}

static void purchases_that_begin_to_be_sent_keep_their_order(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        for (int i = 0; i < 3; i++)
                (void)give(f, with_body(f, &f->big, f->purchases[i], LARGE));
        (void)give_fetch(f, f->purchases[7], &f->big);
        const struct store_record *second = give(f, moved(f->purchases[2], JOB_SENDING));
        const struct store_record *third = give(f, moved(f->purchases[0], JOB_SENDING));
        (void)give(f, moved(f->purchases[2], JOB_SENDING)); /* again: it keeps its place */
        assert_ptr_equal(take_fetch(f), f->purchases[7]);
        assert_int_equal(take(f), 3);
        assert_true(in_batch(f, second));
        finish(f);
        assert_int_equal(take(f), 2);
        assert_true(in_batch(f, third));
        finish(f);
}

static void a_record_without_a_body_does_not_make_its_purchase_urgent(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->big, f->purchases[0], LARGE));
        (void)give(f, with_body(f, &f->big, f->purchases[1], LARGE));
        (void)give(f, new_record(f->purchases[0]));
        const struct store_record *sending = give(f, moved(f->purchases[1], JOB_SENDING));
        assert_int_equal(take(f), 2);
        assert_true(in_batch(f, sending));
        finish(f);
}

static void a_purchase_that_begins_to_be_sent_keeps_the_turn_of_its_line(void **state)
{
        struct fixture *f = *state;

        give_a_hundred(f);
        (void)give(f, with_body(f, &f->small, f->purchases[0], LARGE));
        assert_int_equal(take(f), 1); /* of the hundred */
        finish(f);
        const struct store_record *sending = give(f, moved(f->purchases[0], JOB_SENDING));
        assert_int_equal(take(f), 2);
        assert_true(in_batch(f, sending));
        finish(f);
}

#define ON_QUEUE(test) cmocka_unit_test_setup_teardown(test, set_up_queue, tear_down_queue)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_QUEUE(a_record_without_a_body_is_in_the_next_transaction),
                ON_QUEUE(a_body_of_another_client_is_in_the_next_transaction),
                ON_QUEUE(a_large_body_of_another_client_is_next_but_one),
                ON_QUEUE(small_bodies_of_one_client_share_a_transaction),
                ON_QUEUE(a_record_waits_behind_those_of_its_purchase_only),
                ON_QUEUE(a_sending_does_not_overtake_the_return_to_the_queue),
                ON_QUEUE(a_deletion_does_not_overtake_what_adds_the_row),
                ON_QUEUE(a_deletion_that_has_time_waits_for_the_oldest_record),
                ON_QUEUE(a_dropped_purchase_needs_no_turn_and_no_body),
                ON_QUEUE(a_body_is_needed_if_the_drop_can_never_be_written),
                ON_QUEUE(a_drop_is_never_parted_from_the_bodies_that_it_saves),
                ON_QUEUE(a_client_that_joins_a_purchase_in_a_long_line_does_not_wait_for_it),
                ON_QUEUE(jobs_that_share_a_body_have_it_written_once_in_one_transaction),
                ON_QUEUE(a_body_is_written_for_a_later_job_if_the_first_can_never_be_written),
                ON_QUEUE(a_body_that_was_read_again_is_another_one),
                ON_QUEUE(a_client_that_joins_waits_for_its_own_bodies_only),
                ON_QUEUE(a_client_that_joins_does_not_make_the_payer_wait_for_its_bodies),
                ON_QUEUE(a_client_with_a_long_line_moves_nothing),
                ON_QUEUE(reading_a_body_takes_turns_and_keeps_its_place),
                ON_QUEUE(bodies_of_a_client_are_read_in_the_order_of_the_requests),
                ON_QUEUE(a_sending_with_a_body_does_not_wait_for_those_that_have_no_slot),
                ON_QUEUE(what_is_being_sent_does_not_starve_behind_later_purchases),
                ON_QUEUE(purchases_that_begin_to_be_sent_keep_their_order),
                ON_QUEUE(a_record_without_a_body_does_not_make_its_purchase_urgent),
                ON_QUEUE(a_purchase_that_begins_to_be_sent_keeps_the_turn_of_its_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
