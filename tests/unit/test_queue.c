/*
 * The queue: who is next, by arrival within a client and by weight between clients, and who waits
 * for a moment first.
 */
#include "job/job.h"
#include "job/purchase.h"
#include "queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <utlist.h>

#include <cmocka.h>

#define FLOWS     4
#define PURCHASES 240

/* Purchases with one job each, of which the queue sees only links; more jobs may join. */
struct fixture {
        struct turned_queue both;
        struct queue_flow flows[FLOWS];
        struct purchase purchases[PURCHASES];
        struct job jobs[PURCHASES + FLOWS];
        int purchase_count, job_count;
        int served[FLOWS];
};

static struct fixture f;

static int reset(void **state)
{
        (void)state;
        f = (struct fixture){0};
        turned_queue_init(&f.both);
        for (int i = 0; i < FLOWS; i++)
                f.flows[i].turns.weight = 1;
        return 0;
}

/* A job of a client, in order of arrival. */
static struct job *join(int flow, struct purchase *purchase)
{
        struct job *job = &f.jobs[f.job_count++];

        job->arrival = f.job_count;
        job->flow = &f.flows[flow];
        job->purchase = purchase;
        DL_APPEND2(purchase->jobs, job, sibling_prev, sibling_next);
        if (purchase->queued)
                queue_join(&f.both.queue, job);
        return job;
}

static struct purchase *make(int flow)
{
        struct purchase *purchase = &f.purchases[f.purchase_count++];

        (void)join(flow, purchase);
        return purchase;
}

static struct purchase *add(int flow)
{
        struct purchase *purchase = make(flow);

        queue_add(&f.both.queue, purchase);
        return purchase;
}

static void add_many(int flow, int count)
{
        for (int i = 0; i < count; i++)
                (void)add(flow);
}

static bool may_go(void *arg, const struct purchase *purchase)
{
        const bool *retries = arg;

        return *retries || !purchase->retried;
}

static bool retries_may_go = true;
static const struct queue_filter any = {may_go, may_go, &retries_may_go};

static struct purchase *pop_at(int64_t now_ms, bool retries)
{
        const struct queue_filter filter = {may_go, may_go, &retries};
        struct queue_flow *flow = NULL;
        struct purchase *purchase = queue_pop(&f.both, now_ms, &filter, &flow);

        if (purchase)
                f.served[flow - f.flows]++;
        return purchase;
}

static struct purchase *pop(void)
{
        return pop_at(0, true);
}

static struct purchase *pop_probe(void)
{
        struct queue_flow *flow;

        return queue_pop_probe(&f.both, 0, &any, &flow);
}

/* A turn is taken, and is over at once. */
static void serve(int count)
{
        struct queue_flow *flow = NULL;

        for (int i = 0; i < count; i++) {
                assert_non_null(queue_pop(&f.both, 0, &any, &flow));
                f.served[flow - f.flows]++;
                turns_over(&f.both.turns, &flow->turns);
        }
}

/* ---- within one client ---- */

static void purchases_leave_in_the_order_they_came(void **state)
{
        (void)state;
        struct purchase *first = add(0), *second = add(0), *third = add(0);
        assert_int_equal(f.both.queue.count, 3);
        assert_ptr_equal(pop(), first);
        assert_ptr_equal(pop(), second);
        assert_ptr_equal(pop(), third);
        assert_null(pop());
        assert_int_equal(f.both.queue.count, 0);
}

static void what_comes_back_stands_where_it_would_have_stood(void **state)
{
        (void)state;
        struct purchase *first = add(0), *second = add(0), *third = add(0);
        assert_ptr_equal(pop(), first);
        assert_ptr_equal(pop(), second);
        queue_add(&f.both.queue, second);
        queue_add(&f.both.queue, first);
        assert_ptr_equal(pop(), first);
        assert_ptr_equal(pop(), second);
        assert_ptr_equal(pop(), third);
}

static void delayed_ones_are_taken_by_their_moment_and_not_before(void **state)
{
        (void)state;
        struct purchase *last = make(0), *first = make(0), *middle = make(0);
        assert_int_equal(queue_delayed_until(&f.both.queue), INT64_MAX);
        queue_delay(&f.both.queue, last, 300);
        queue_delay(&f.both.queue, first, 100);
        queue_delay(&f.both.queue, middle, 200);
        assert_null(pop_at(99, true));
        assert_int_equal(queue_delayed_until(&f.both.queue), 100);
        assert_ptr_equal(pop_at(100, true), first);
        assert_null(pop_at(199, true));
        assert_int_equal(queue_delayed_until(&f.both.queue), 200);
        assert_ptr_equal(pop_at(300, true), last); /* it came before the other */
        assert_ptr_equal(pop_at(300, true), middle);
        assert_int_equal(f.both.queue.count, 0);
}

static void retries_wait_while_there_may_be_none(void **state)
{
        (void)state;
        struct purchase *retried = make(0), *fresh = add(0), *delayed = make(0);
        retried->retried = delayed->retried = true;
        queue_add(&f.both.queue, retried);
        queue_delay(&f.both.queue, delayed, 100);
        assert_ptr_equal(pop_at(100, false), fresh);
        assert_null(pop_at(100, false));
        assert_ptr_equal(pop_at(100, true), retried);
        assert_ptr_equal(pop_at(100, true), delayed);
}

static void a_probe_takes_what_is_ready_and_then_a_retry_before_its_moment(void **state)
{
        (void)state;
        struct purchase *ready = add(0), *unstored = make(0), *retried = make(0);
        retried->retried = true;
        queue_delay(&f.both.queue, unstored, 100);
        queue_delay(&f.both.queue, retried, 200);
        assert_ptr_equal(pop_probe(), ready);
        assert_ptr_equal(pop_probe(), retried);
        assert_null(pop_probe());
        assert_int_equal(f.both.queue.count, 1);
}

static void what_was_put_off_is_no_probe_before_its_moment(void **state)
{
        (void)state;
        struct purchase *off = make(0), *retried = make(0);
        off->retried = retried->retried = true;
        queue_put_off(&f.both.queue, off, 100);
        queue_delay(&f.both.queue, retried, 200);
        assert_ptr_equal(pop_probe(), retried);
        assert_null(pop_probe());
        assert_null(pop_at(99, true));
        assert_ptr_equal(pop_at(100, true), off);
        queue_delay(&f.both.queue, off, 200);
        assert_ptr_equal(pop_probe(), off);
}

static void a_retry_that_is_due_probes_after_what_is_ready(void **state)
{
        (void)state;
        struct purchase *retried = make(0), *ready = add(0);
        retried->retried = true;
        queue_delay(&f.both.queue, retried, 0);
        assert_ptr_equal(pop_probe(), ready);
        assert_ptr_equal(pop_probe(), retried);
}

static void any_can_be_taken_out_wherever_it_is(void **state)
{
        (void)state;
        struct purchase *first = add(0), *second = add(0), *soon = make(0), *late = make(0);
        queue_delay(&f.both.queue, soon, 100);
        queue_delay(&f.both.queue, late, 200);
        queue_remove(&f.both.queue, first);
        queue_remove(&f.both.queue, soon);
        assert_int_equal(f.both.queue.count, 2);
        assert_int_equal(queue_delayed_until(&f.both.queue), 200);
        assert_ptr_equal(pop(), second);
}

/* ---- between clients ---- */

static void equals_take_turns(void **state)
{
        (void)state;
        add_many(0, 10);
        add_many(1, 10);
        add_many(2, 10);
        serve(15);
        assert_int_equal(f.served[0], 5);
        assert_int_equal(f.served[1], 5);
        assert_int_equal(f.served[2], 5);
}

static void turns_go_by_weight(void **state)
{
        (void)state;
        f.flows[1].turns.weight = 2;
        f.flows[2].turns.weight = 4;
        for (int flow = 0; flow < 3; flow++)
                add_many(flow, 80);
        serve(70);
        assert_int_equal(f.served[0], 10);
        assert_int_equal(f.served[1], 20);
        assert_int_equal(f.served[2], 40);
}

static void who_comes_late_is_next_and_is_not_repaid_for_having_been_away(void **state)
{
        (void)state;
        add_many(0, 100);
        serve(50);
        add_many(1, 20);
        struct queue_flow *flow = NULL;
        (void)queue_pop(&f.both, 0, &any, &flow);
        assert_ptr_equal(flow, &f.flows[1]);
        memset(f.served, 0, sizeof f.served);
        serve(10);
        assert_int_equal(f.served[0], 5);
        assert_int_equal(f.served[1], 5);
}

static void what_nobody_else_wants_goes_to_who_does(void **state)
{
        (void)state;
        f.flows[1].turns.weight = TURNS_WEIGHT_MAX;
        add_many(0, 20);
        (void)add(1);
        serve(21);
        assert_int_equal(f.served[0], 20);
        assert_int_equal(f.served[1], 1);
}

static void a_client_has_no_more_in_flight_than_it_may(void **state)
{
        (void)state;
        f.flows[0].turns.max_in_flight = 2;
        add_many(0, 3);
        assert_non_null(pop());
        assert_non_null(pop());
        assert_null(pop());
        struct purchase *other = add(1);
        assert_ptr_equal(pop(), other);
        turns_over(&f.both.turns, &f.flows[0].turns);
        assert_non_null(pop());
}

static void who_was_at_his_ceiling_is_not_repaid_either(void **state)
{
        (void)state;
        f.flows[0].turns.max_in_flight = 1;
        add_many(0, 20);
        add_many(1, 60);
        while (f.served[0] == 0)
                (void)pop();
        for (int i = 0; i < 30; i++)
                (void)pop(); /* the other one's, since the first is at his ceiling */
        turns_over(&f.both.turns, &f.flows[0].turns);
        f.flows[0].turns.max_in_flight = 0;
        memset(f.served, 0, sizeof f.served);
        serve(10);
        assert_in_range(f.served[0], 4, 6);
}

static void who_has_only_retries_that_may_not_go_lends_its_turns(void **state)
{
        (void)state;
        for (int i = 0; i < 5; i++) {
                struct purchase *retried = make(0);
                retried->retried = true;
                queue_add(&f.both.queue, retried);
        }
        add_many(1, 60);
        for (int i = 0; i < 30; i++)
                assert_non_null(pop_at(0, false));
        assert_int_equal(f.served[0], 0);
        add_many(0, 20);
        memset(f.served, 0, sizeof f.served);
        serve(10);
        assert_in_range(f.served[0], 4, 6);
}

static void a_turn_that_was_not_used_is_given_back(void **state)
{
        (void)state;
        add_many(0, 4);
        add_many(1, 4);
        struct queue_flow *flow = NULL;
        struct purchase *purchase = queue_pop(&f.both, 0, &any, &flow);
        turns_over(&f.both.turns, &flow->turns);
        turns_give_back(&f.both.turns, &flow->turns);
        queue_add(&f.both.queue, purchase);
        serve(8);
        assert_int_equal(f.served[0], 4);
        assert_int_equal(f.served[1], 4);
}

static void a_job_that_joined_another_clients_purchase_waits_in_its_own_flow(void **state)
{
        (void)state;
        add_many(0, 20);
        struct purchase *deep = add(0);
        (void)join(1, deep);
        assert_int_equal(f.flows[1].count, 1);
        assert_non_null(pop());
        assert_ptr_equal(pop(), deep);
        /* It is gone from both. */
        assert_int_equal(f.flows[0].count, 19);
        assert_int_equal(f.flows[1].count, 0);
        assert_int_equal(f.both.queue.count, 19);
}

static void a_job_that_leaves_takes_only_its_own_place(void **state)
{
        (void)state;
        struct purchase *shared = add(0);
        struct job *joined = join(1, shared);
        DL_DELETE2(shared->jobs, joined, sibling_prev, sibling_next);
        queue_leave(&f.both.queue, joined);
        assert_int_equal(f.flows[1].count, 0);
        assert_ptr_equal(pop(), shared);
        assert_int_equal(f.served[0], 1);
}

static void who_joins_a_delayed_purchase_waits_with_it(void **state)
{
        (void)state;
        struct purchase *delayed = make(0);
        queue_delay(&f.both.queue, delayed, 100);
        (void)join(1, delayed);
        assert_null(pop_at(99, true));
        assert_ptr_equal(pop_at(100, true), delayed);
        assert_int_equal(f.flows[0].count + f.flows[1].count, 0);
}

#define CASE(test) cmocka_unit_test_setup(test, reset)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(purchases_leave_in_the_order_they_came),
                CASE(what_comes_back_stands_where_it_would_have_stood),
                CASE(delayed_ones_are_taken_by_their_moment_and_not_before),
                CASE(retries_wait_while_there_may_be_none),
                CASE(a_probe_takes_what_is_ready_and_then_a_retry_before_its_moment),
                CASE(what_was_put_off_is_no_probe_before_its_moment),
                CASE(a_retry_that_is_due_probes_after_what_is_ready),
                CASE(any_can_be_taken_out_wherever_it_is),
                CASE(equals_take_turns),
                CASE(turns_go_by_weight),
                CASE(who_comes_late_is_next_and_is_not_repaid_for_having_been_away),
                CASE(what_nobody_else_wants_goes_to_who_does),
                CASE(a_client_has_no_more_in_flight_than_it_may),
                CASE(who_was_at_his_ceiling_is_not_repaid_either),
                CASE(who_has_only_retries_that_may_not_go_lends_its_turns),
                CASE(a_turn_that_was_not_used_is_given_back),
                CASE(a_job_that_joined_another_clients_purchase_waits_in_its_own_flow),
                CASE(a_job_that_leaves_takes_only_its_own_place),
                CASE(who_joins_a_delayed_purchase_waits_with_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
