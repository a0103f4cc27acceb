/*
 * The order in which the store writes records, whatever comes and fails.
 */
#include "store_queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include <cmocka.h>

#define STEPS 20000

/* What was given of each purchase, and what was written. */
struct orders {
        uint64_t written[PURCHASES];
        int records, bodies; /* written */
};

/* Bodies that several records bring. */
static struct body *shared[PURCHASES];

static void share_any_body(struct store_record *record, int index)
{
        if (shared[index] && rand() % 2) {
                body_unref(record->body);
                record->body = body_ref(shared[index]);
        } else {
                body_unref(shared[index]);
                shared[index] = body_ref(record->body);
        }
}

static int index_of(const struct purchase *purchase)
{
        return (int)purchase->number - 1;
}

static void note_written(struct orders *orders, const struct purchase *purchase, uint64_t order)
{
        assert_true(order >= orders->written[index_of(purchase)]);
        orders->written[index_of(purchase)] = order + 1;
}

static struct store_record *any_record(struct fixture *f)
{
        static const enum job_state states[] = {JOB_QUEUED, JOB_SENDING, JOB_ACCEPTED,
                                                JOB_CANCELLED};
        struct purchase *purchase = f->purchases[rand() % PURCHASES];
        struct store_record *record;

        switch (rand() % 5) {
        case 0:
                return dropping(&f->purchases[rand() % (PURCHASES - 2)], 1 + (size_t)(rand() % 3));
        case 1:
                return moved(purchase, states[rand() % 4]);
        case 2:
                return new_record(purchase);
        default:
                record = with_body(f, rand() % 2 ? &f->big : &f->small, purchase,
                                   (size_t)(rand() % LARGE));
                record->lines[1] = rand() % 2 ? &f->small : NULL;
                record->must = rand() % 2;
                share_any_body(record, index_of(purchase));
                return record;
        }
}

/* Urgent purchases are the first of their line. */
static void check_lines(const struct fixture *f)
{
        const struct store_line *line;
        const struct store_group *group;

        DL_FOREACH (f->store.lines, line) {
                const struct store_group *last_urgent = NULL;
                size_t count = 0, urgent = 0;
                DL_FOREACH (line->groups, group) {
                        count++;
                        if (!group->urgent)
                                continue;
                        last_urgent = group;
                        assert_int_equal(++urgent, count);
                }
                assert_ptr_equal(line->last_urgent, last_urgent);
                assert_int_equal(line->count, count);
        }
}

/* Whether an earlier record of the same transaction brings the same body. */
static bool has_brought(const struct fixture *f, const struct store_record *record)
{
        struct store_item *item;

        DL_FOREACH (f->batch, item) {
                const struct store_record *other = store_record_of(item);
                if (other == record)
                        return false;
                if (other->body_needed && other->purchase == record->purchase &&
                    other->body == record->body)
                        return true;
        }
        return false;
}

/* Whether a body is missing that was to be stored with a row: an earlier record has to bring it, or
 * a later one in the same transaction to drop it. */
static void check_batch(const struct fixture *f, struct orders *orders)
{
        struct store_item *item, *later;

        DL_FOREACH (f->batch, item) {
                const struct store_record *record = store_record_of(item);
                bool drops = false;

                if (record->purchase)
                        note_written(orders, record->purchase, item->order);
                for (size_t i = 0; i < record->dropped_count; i++)
                        note_written(orders, record->dropped[i], item->order);
                orders->records++;
                orders->bodies += record->body_needed;
                if (!record->body || record->body_needed || has_brought(f, record))
                        continue;
                for (later = item->next; later; later = later->next) {
                        const struct store_record *other = store_record_of(later);
                        drops |= other->purchase == record->purchase &&
                                 other->move == STORE_PURCHASE_MOVE && other->state >= JOB_ACCEPTED;
                        for (size_t i = 0; i < other->dropped_count; i++)
                                drops |= other->dropped[i] == record->purchase;
                }
                assert_true(drops);
        }
}

static int give_up(struct fixture *f, bool must_too)
{
        struct store_item *given_up = NULL, *item, *next;
        int count = 0;

        store_queue_give_up_locked(&f->store, &f->batch, &given_up, must_too);
        DL_FOREACH_SAFE (given_up, item, next) {
                store_record_free(store_record_of(item));
                count++;
        }
        return count;
}

/* What the writer does, on a disk that fails now and then. Returns how many were given up. */
static int write_any(struct fixture *f, struct orders *orders, bool may_fail)
{
        struct store_fetch *fetch = store_queue_take_fetch_locked(&f->store);
        int lost = 0;

        if (fetch) {
                note_written(orders, fetch->purchase, fetch->item.order);
                free(fetch);
                return 0;
        }
        bool empty = take(f) == 0;
        assert_true(empty == !f->store.items);
        if (may_fail && rand() % 4 == 0) {
                lost = give_up(f, rand() % 8 == 0);
                store_queue_return_locked(&f->store, f->batch);
                f->batch = NULL;
                f->store.unhealthy = true;
        } else {
                f->store.unhealthy = false;
                check_batch(f, orders);
                finish(f);
        }
        return lost;
}

static void whatever_comes_and_fails_each_purchase_keeps_its_order(void **state)
{
        struct fixture *f = *state;
        struct orders orders = {0};
        int given = 0, lost = 0;

        srand(12);
        for (int i = 0; i < STEPS; i++) {
                for (int more = rand() % 8; more > 0; more--, given++)
                        (void)give(f, any_record(f));
                if (rand() % 4 == 0)
                        (void)give_fetch(f, f->purchases[rand() % PURCHASES],
                                         rand() % 2 ? &f->big : NULL);
                check_lines(f);
                lost += write_any(f, &orders, true);
        }
        while (f->store.items)
                lost += write_any(f, &orders, false);
        for (int i = 0; i < PURCHASES; i++)
                body_unref(shared[i]);
        assert_int_equal(orders.records + lost, given);
        assert_true(orders.bodies > 0 && orders.bodies < orders.records);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        whatever_comes_and_fails_each_purchase_keeps_its_order, set_up_queue,
                        tear_down_queue),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
