/*
 * The queue: who is next, and who waits for a moment first.
 */
#include "job/purchase.h"
#include "job/queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PURCHASES 5

/* The purchases 1 to 5, of which the queue sees only links and numbers. */
struct fixture {
        struct queue queue;
        struct purchase purchases[PURCHASES + 1];
};

static struct fixture fixture(size_t max)
{
        struct fixture f = {.queue.max = max};

        for (int64_t i = 1; i <= PURCHASES; i++)
                f.purchases[i].number = i;
        return f;
}

static void push(struct fixture *f, int number)
{
        assert_int_equal(queue_push(&f->queue, &f->purchases[number]), 0);
}

static void expect_order(struct fixture *f, const int *numbers, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const struct purchase *purchase = queue_pop(&f->queue, 0, false);
                assert_non_null(purchase);
                assert_int_equal(purchase->number, numbers[i]);
        }
        assert_null(queue_pop(&f->queue, 0, false));
}

static void purchases_leave_in_the_order_they_came(void **state)
{
        struct fixture f = fixture(3);

        (void)state;
        for (int number = 1; number <= 3; number++)
                push(&f, number);
        assert_int_equal(f.queue.count, 3);
        expect_order(&f, (int[]){1, 2, 3}, 3);
        assert_int_equal(f.queue.count, 0);
}

static void a_full_queue_takes_nothing_new_but_what_comes_back(void **state)
{
        struct fixture f = fixture(2);

        (void)state;
        push(&f, 3);
        push(&f, 4);
        assert_int_equal(queue_push(&f.queue, &f.purchases[5]), -ENOBUFS);
        assert_int_equal(f.queue.count, 2);
        queue_return(&f.queue, &f.purchases[1]);
        queue_delay(&f.queue, &f.purchases[2], 100);
        assert_int_equal(f.queue.count, 4);
        expect_order(&f, (int[]){1, 3, 4}, 3);
        assert_int_equal(queue_push(&f.queue, &f.purchases[5]), 0);
        assert_int_equal(queue_push(&f.queue, &f.purchases[1]), -ENOBUFS); /* the delayed counts */
}

static void what_comes_back_stands_where_it_would_have_stood(void **state)
{
        static const int orders[][PURCHASES] = {
                {1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}, {3, 1, 5, 2, 4}, {2, 5, 1, 4, 3}};

        (void)state;
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
                struct fixture f = fixture(PURCHASES);
                for (int n = 0; n < PURCHASES; n++)
                        queue_return(&f.queue, &f.purchases[orders[i][n]]);
                expect_order(&f, (int[]){1, 2, 3, 4, 5}, PURCHASES);
        }
}

static void delayed_ones_are_taken_by_their_moment_and_not_before(void **state)
{
        struct fixture f = fixture(PURCHASES);

        (void)state;
        assert_int_equal(queue_delayed_until(&f.queue), INT64_MAX);
        queue_delay(&f.queue, &f.purchases[1], 300);
        queue_delay(&f.queue, &f.purchases[2], 100);
        queue_delay(&f.queue, &f.purchases[3], 200);
        queue_delay(&f.queue, &f.purchases[4], 100);
        assert_null(queue_pop(&f.queue, 0, true));
        assert_int_equal(queue_delayed_until(&f.queue), 100);
        assert_null(queue_pop(&f.queue, 99, true));
        assert_ptr_equal(queue_pop(&f.queue, 100, true), &f.purchases[2]);
        assert_ptr_equal(queue_pop(&f.queue, 100, true), &f.purchases[4]);
        assert_null(queue_pop(&f.queue, 199, true));
        assert_int_equal(queue_delayed_until(&f.queue), 200);
        assert_ptr_equal(queue_pop_probe(&f.queue, INT64_MAX), &f.purchases[3]);
        assert_ptr_equal(queue_pop_probe(&f.queue, INT64_MAX), &f.purchases[1]);
        assert_null(queue_pop_probe(&f.queue, INT64_MAX));
        assert_int_equal(f.queue.count, 0);
}

static void retries_wait_while_there_may_be_none(void **state)
{
        struct fixture f = fixture(PURCHASES);

        (void)state;
        push(&f, 1);
        push(&f, 2);
        f.purchases[1].retried = true;
        queue_delay(&f.queue, &f.purchases[3], 100);
        queue_delay(&f.queue, &f.purchases[4], 100);
        f.purchases[3].retried = true;
        assert_ptr_equal(queue_pop(&f.queue, 100, false), &f.purchases[4]);
        assert_ptr_equal(queue_pop(&f.queue, 100, false), &f.purchases[2]);
        assert_null(queue_pop(&f.queue, 100, false));
        assert_ptr_equal(queue_pop(&f.queue, 100, true), &f.purchases[3]);
        assert_ptr_equal(queue_pop_probe(&f.queue, INT64_MAX), &f.purchases[1]);
}

static void one_that_was_delayed_may_come_back_without_a_pause(void **state)
{
        struct fixture f = fixture(PURCHASES);

        (void)state;
        push(&f, 2);
        queue_delay(&f.queue, &f.purchases[1], 100);
        queue_return(&f.queue, queue_pop(&f.queue, 100, true));
        assert_int_equal(queue_delayed_until(&f.queue), INT64_MAX);
        expect_order(&f, (int[]){1, 2}, 2);
}

static void any_can_be_taken_out_wherever_it_is(void **state)
{
        struct fixture f = fixture(PURCHASES);

        (void)state;
        for (int number = 1; number <= 3; number++)
                push(&f, number);
        queue_delay(&f.queue, &f.purchases[4], 100);
        queue_delay(&f.queue, &f.purchases[5], 200);
        queue_remove(&f.queue, &f.purchases[2]);
        queue_remove(&f.queue, &f.purchases[4]);
        assert_int_equal(f.queue.count, 3);
        assert_int_equal(queue_delayed_until(&f.queue), 200);
        expect_order(&f, (int[]){1, 3}, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(purchases_leave_in_the_order_they_came),
                cmocka_unit_test(a_full_queue_takes_nothing_new_but_what_comes_back),
                cmocka_unit_test(what_comes_back_stands_where_it_would_have_stood),
                cmocka_unit_test(delayed_ones_are_taken_by_their_moment_and_not_before),
                cmocka_unit_test(retries_wait_while_there_may_be_none),
                cmocka_unit_test(one_that_was_delayed_may_come_back_without_a_pause),
                cmocka_unit_test(any_can_be_taken_out_wherever_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
