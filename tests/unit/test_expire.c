/*
 * Overdue jobs: however many there are, few are looked at in one step, and none holds up others.
 */
#include "base/clock.h"
#include "dispatch/end_job.h"
#include "dispatch/scheduler_private.h"
#include "scheduler_fixture.h"

#include <stdio.h>

#define MANY 1500 /* overdue purchases: several steps of each kind */

static const struct order soon = {.deadline_ms = 1};

/* Submits jobs of different tasks. */
static void submit_many(struct fixture *f, struct order order, size_t count, struct job *ret_jobs[])
{
        char task[32];

        for (size_t i = 0; i < count; i++) {
                (void)snprintf(task, sizeof task, "many-%zu", i);
                order.task = task;
                assert_int_equal(submit_order(f, &order, &ret_jobs[i]), 0);
        }
}

static void open_for_many(struct fixture *f)
{
        f->config.limits.queue_jobs = CROWD_MAX;
        open_scheduler(f, 1);
}

static size_t count_final(struct fixture *f, struct job *const jobs[], size_t count)
{
        size_t final = 0;

        for (size_t i = 0; i < count; i++)
                final += job_state_final(state_of(f, jobs[i]));
        return final;
}

/* Runs the loop until all of its mail is delivered. */
static void stop_when_idle(void *arg)
{
        struct fixture *f = arg;

        if (!f->scheduler->expiry.posted)
                loop_stop(f->loop);
}

static void run_loop(struct fixture *f)
{
        struct loop_timer *timer;

        assert_int_equal(loop_timer_new(f->loop, stop_when_idle, f, &timer), 0);
        loop_timer_start(timer, 0, 1);
        loop_run(f->loop);
        loop_timer_free(timer);
}

static void wait_until_overdue(struct job *const jobs[], size_t count)
{
        while (clock_monotonic_ms() < jobs[count - 1]->deadline_ms)
                ;
}

static void overdue_jobs_end_in_steps_and_each_in_another_turn_of_the_loop(void **state)
{
        static struct job *jobs[MANY];
        const struct order late_order = {.task = "b", .deadline_ms = LONG_MS};
        struct fixture *f = *state;
        struct job *later;

        open_for_many(f);
        submit_many(f, (struct order){0}, MANY, jobs);
        assert_int_equal(submit_order(f, &late_order, &later), 0);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_int_equal(count_final(f, jobs, MANY), ENDINGS_BATCH);
        run_loop(f);
        assert_int_equal(count_final(f, jobs, MANY), MANY);
        for (int i = 0; i < MANY; i++)
                assert_int_equal(outcome_of(f, jobs[i])->error, JOB_DEADLINE);
        assert_int_equal(state_of(f, later), JOB_QUEUED);
}

static void what_is_being_sent_is_not_looked_at_again_until_it_is_back(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a"), *second = submit(f, "b");
        struct scheduler_turn turn = take(f, first), other = take(f, second);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_null(unfinished_first_due(&f->scheduler->unfinished));
        (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, LONG_MS);
        assert_ptr_equal(unfinished_first_due(&f->scheduler->unfinished), first);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_int_equal(outcome_of(f, first)->error, JOB_DEADLINE);
        assert_null(unfinished_first_due(&f->scheduler->unfinished));
        solve_turn(f, &other);
}

static void the_last_job_of_an_accepted_purchase_is_expected_again_when_another_joins(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a");
        struct scheduler_turn turn = take(f, first);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        accept_turn(f, &turn);
        assert_ptr_equal(unfinished_first_due(&f->scheduler->unfinished), first);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_null(unfinished_first_due(&f->scheduler->unfinished));
        struct job *joined = NULL;
        const struct order order = {.task = "a", .deadline_ms = LONG_MS};
        assert_int_equal(submit_order(f, &order, &joined), 0);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_int_equal(outcome_of(f, first)->error, JOB_DEADLINE);
        assert_int_equal(state_of(f, joined), JOB_ACCEPTED);
        solve_turn(f, &turn);
}

static void overdue_purchases_are_passed_over_in_few_steps_and_not_sent(void **state)
{
        static struct job *jobs[MANY];
        struct fixture *f = *state;
        struct scheduler_turn turn;
        int64_t again_ms = 0;
        int steps = 0;

        open_for_many(f);
        submit_many(f, soon, MANY, jobs);
        wait_until_overdue(jobs, MANY);
        struct job *fresh = submit(f, "fresh");
        while (!scheduler_take(f->scheduler, NULL, &turn, &again_ms)) {
                assert_true(again_ms <= clock_monotonic_ms()); /* at once */
                assert_true(++steps < 10);
        }
        f->flying[f->flying_count++] = turn;
        assert_ptr_equal(turn.purchase, fresh->purchase);
        assert_true(steps > 1);
        assert_int_equal(count_final(f, jobs, MANY), 0);
        assert_int_equal(take_nothing(f), INT64_MAX); /* they are not waited for */
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms());
        run_loop(f);
        assert_int_equal(count_final(f, jobs, MANY), MANY);
}

static void nobody_joins_an_overdue_purchase_that_was_passed_over(void **state)
{
        struct fixture *f = *state;
        struct job *late;

        open_scheduler(f, 1);
        submit_many(f, soon, 1, &late);
        wait_until_overdue(&late, 1);
        (void)take_nothing(f);
        struct job *fresh = submit(f, "many-0");
        assert_int_equal(fresh->source, JOB_FROM_UPSTREAM);
        (void)take(f, fresh);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms());
        assert_int_equal(outcome_of(f, late)->error, JOB_DEADLINE);
}

static void the_turns_of_overdue_purchases_are_given_back(void **state)
{
        struct fixture *f = *state;
        struct job *late[3];

        open_scheduler(f, 1);
        submit_many(f, soon, 3, late);
        wait_until_overdue(late, 3);
        (void)take_nothing(f);
        assert_int_equal(client_named(f, "ci")->flow.turns.in_flight, 0);
        assert_int_equal(client_named(f, "ci")->flow.turns.tag, 0);
}

static int64_t reserved_by(struct fixture *f, const char *client)
{
        struct scheduler_usage usage;
        struct quota_figures figures;

        scheduler_usage(f->scheduler, client_named(f, client), &usage, &figures);
        return figures.day.reserved;
}

/* Each change of the payer is a record for the store. */
static void nobody_is_made_to_pay_for_a_purchase_whose_jobs_are_all_overdue(void **state)
{
        const struct order order = {.task = "a", .client = "other"};
        struct job *joined[ENDINGS_BATCH];
        struct fixture *f = *state;

        open_for_many(f);
        struct job *payer = submit(f, "a");
        for (int i = 0; i < ENDINGS_BATCH; i++)
                assert_int_equal(submit_order(f, &order, &joined[i]), 0);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS);
        assert_int_equal(outcome_of(f, payer)->error, JOB_DEADLINE);
        assert_int_equal(count_final(f, joined, ENDINGS_BATCH), ENDINGS_BATCH - 1);
        assert_int_equal(reserved_by(f, "other"), 0);
        run_loop(f);
        assert_int_equal(count_final(f, joined, ENDINGS_BATCH), ENDINGS_BATCH);
        assert_int_equal(reserved_by(f, "ci"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(overdue_jobs_end_in_steps_and_each_in_another_turn_of_the_loop),
                ON_ENGINE(what_is_being_sent_is_not_looked_at_again_until_it_is_back),
                ON_ENGINE(
                        the_last_job_of_an_accepted_purchase_is_expected_again_when_another_joins),
                ON_ENGINE(overdue_purchases_are_passed_over_in_few_steps_and_not_sent),
                ON_ENGINE(nobody_joins_an_overdue_purchase_that_was_passed_over),
                ON_ENGINE(the_turns_of_overdue_purchases_are_given_back),
                ON_ENGINE(nobody_is_made_to_pay_for_a_purchase_whose_jobs_are_all_overdue),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
