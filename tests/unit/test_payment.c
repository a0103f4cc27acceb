/*
 * Who pays for what: reservations and charges of clients, as jobs come, join, leave and end.
 */
#include "scheduler_fixture.h"

#include "base/clock.h"

#include <errno.h>

static void set_daily(struct fixture *f, const char *client, int64_t limit)
{
        const struct quota_limits limits = {.daily = limit};

        quota_set_limits(&client_named(f, client)->quota, &limits, quota_now());
}

static void expect(struct fixture *f, const char *client, int64_t used, int64_t reserved)
{
        struct scheduler_usage usage;
        struct quota_figures figures;

        scheduler_usage(f->scheduler, client_named(f, client), &usage, &figures);
        assert_int_equal(figures.day.used, used);
        assert_int_equal(figures.day.reserved, reserved);
        assert_int_equal(figures.month.used, used);
}

static struct job *order_of(struct fixture *f, const char *client, const char *task)
{
        struct job *job = NULL;

        assert_int_equal(submit_order(f, &(struct order){.task = task, .client = client}, &job), 0);
        return job;
}

static void expect_refused(struct fixture *f, const char *client, const char *task,
                           enum quota_verdict why)
{
        struct job *job = NULL;

        assert_int_equal(submit_order(f, &(struct order){.task = task, .client = client}, &job),
                         -EDQUOT);
        assert_int_equal(f->refused, why);
        assert_null(job);
}

static struct outcome *failure(void)
{
        return outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, "no");
}

static void cancel(struct fixture *f, struct job *job)
{
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
}

/* ---- one client ---- */

static void a_charge_is_reserved_when_the_job_comes_and_used_when_it_is_charged(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 10);
        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        expect(f, "ci", 0, 1);
        struct scheduler_turn turn = take(f, job);
        expect(f, "ci", 0, 1);
        accept_turn(f, &turn);
        expect(f, "ci", 1, 0);
        end_turn_as(f, &turn, failure(), STORE_CHARGE_NONE);
        expect(f, "ci", 1, 0);
}

static void what_is_reserved_counts_towards_the_limit(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 2);
        open_scheduler(f, 1);
        (void)submit(f, "a");
        (void)submit(f, "b");
        expect_refused(f, "ci", "c", QUOTA_DAILY);
        expect(f, "ci", 0, 2);
        (void)order_of(f, "other", "c");
}

static void joining_and_the_cache_cost_nothing(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 1);
        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        (void)submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        solve_turn(f, &turn);
        assert_int_equal(submit(f, "a")->source, JOB_FROM_CACHE);
        expect(f, "ci", 1, 0);
        expect_refused(f, "ci", "b", QUOTA_DAILY);
}

static void what_was_not_charged_is_given_back(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 1);
        open_scheduler(f, 1);
        struct scheduler_turn turn = take(f, submit(f, "a"));
        end_turn_as(f, &turn, failure(), STORE_CHARGE_NOT_CHARGED);
        expect(f, "ci", 0, 0);
        cancel(f, submit(f, "b"));
        expect(f, "ci", 0, 0);
        struct job *withdrawn = submit(f, "c");
        assert_true(entry_withdraw(f->scheduler, f->loop, withdrawn));
        expect(f, "ci", 0, 0);
        (void)submit(f, "d");
}

static void what_is_turned_away_stays_reserved_until_it_is_sent_again(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 1);
        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        assert_true(give_back(f, &turn, SCHEDULER_NOT_TRIED, 0));
        expect(f, "ci", 0, 1);
        turn = take(f, job);
        solve_turn(f, &turn);
        expect(f, "ci", 1, 0);
}

static void what_may_have_been_charged_is_used(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 1);
        open_scheduler(f, 1);
        struct scheduler_turn turn = take(f, submit(f, "a"));
        end_turn_as(f, &turn, outcome_failed(JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, "lost"),
                    STORE_CHARGE_UNKNOWN);
        expect(f, "ci", 1, 0);
}

static void sending_again_in_doubt_takes_a_further_charge_or_is_not_done(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "ci", 2);
        open_scheduler(f, 1);
        struct scheduler_turn turn = take(f, submit(f, "a"));
        assert_true(scheduler_reserve_again(f->scheduler, turn.purchase));
        expect(f, "ci", 0, 2);
        assert_false(scheduler_reserve_again(f->scheduler, turn.purchase));
        solve_turn(f, &turn);
        expect(f, "ci", 1, 0);
}

static void a_rate_refuses_what_comes_too_fast(void **state)
{
        struct fixture *f = *state;
        const struct quota_limits limits = {.rate = 0.001, .burst = 1};

        quota_set_limits(&client_named(f, "ci")->quota, &limits, quota_now());
        open_scheduler(f, 1);
        (void)submit(f, "a");
        expect_refused(f, "ci", "b", QUOTA_RATE);
}

static void joins_and_the_cache_take_of_the_rate_and_repeats_do_not(void **state)
{
        struct fixture *f = *state;
        const struct quota_limits limits = {.rate = 0.001, .burst = 3};
        const struct order keyed = {.task = "a", .key = "key"};
        struct job *job = NULL, *same = NULL;

        quota_set_limits(&client_named(f, "ci")->quota, &limits, quota_now());
        open_scheduler(f, 1);
        assert_int_equal(submit_order(f, &keyed, &job), 0);
        (void)submit(f, "a"); /* joins */
        struct scheduler_turn turn = take(f, job);
        solve_turn(f, &turn);
        (void)submit(f, "a"); /* the cache has it */
        expect_refused(f, "ci", "a", QUOTA_RATE);
        assert_int_equal(submit_order(f, &keyed, &same), -EEXIST);
        assert_ptr_equal(same, job);
        (void)order_of(f, "other", "a");
}

static void a_full_rate_holds_up_what_is_free_but_a_used_up_day_does_not(void **state)
{
        struct fixture *f = *state;
        const struct quota_limits limits = {.rate = 0.001, .burst = 2, .daily = 1};

        quota_set_limits(&client_named(f, "ci")->quota, &limits, quota_now());
        open_scheduler(f, 1);
        (void)submit(f, "a");
        expect_refused(f, "ci", "b", QUOTA_DAILY);
        (void)submit(f, "a");
        expect_refused(f, "ci", "a", QUOTA_RATE);
}

/* ---- several ---- */

static void who_made_the_purchase_pays_for_all_who_joined(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *payer = order_of(f, "first", "a");
        (void)order_of(f, "second", "a");
        struct scheduler_turn turn = take(f, payer);
        solve_turn(f, &turn);
        expect(f, "first", 1, 0);
        expect(f, "second", 0, 0);
}

static void when_the_payer_leaves_the_next_one_pays(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *payer = order_of(f, "first", "a");
        struct job *other = order_of(f, "second", "a");
        cancel(f, payer);
        expect(f, "first", 0, 0);
        expect(f, "second", 0, 1);
        struct scheduler_turn turn = take(f, other);
        solve_turn(f, &turn);
        expect(f, "second", 1, 0);
}

static void another_job_of_the_payers_client_goes_on_paying(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "first", 1);
        open_scheduler(f, 1);
        struct job *payer = order_of(f, "first", "a");
        (void)order_of(f, "second", "a");
        (void)order_of(f, "first", "a");
        cancel(f, payer);
        expect(f, "first", 0, 1);
        expect(f, "second", 0, 0);
}

static void who_cannot_pay_is_passed_over_and_stays(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "poor", 1);
        open_scheduler(f, 1);
        (void)order_of(f, "poor", "b");
        struct job *payer = order_of(f, "first", "a");
        struct job *poor = order_of(f, "poor", "a");
        (void)order_of(f, "rich", "a");
        cancel(f, payer);
        expect(f, "rich", 0, 1);
        assert_int_equal(state_of(f, poor), JOB_QUEUED);
}

static void where_nobody_can_pay_all_are_cancelled(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "poor", 1);
        open_scheduler(f, 1);
        struct job *own = order_of(f, "poor", "b");
        struct job *payer = order_of(f, "first", "a");
        struct job *poor = order_of(f, "poor", "a");
        cancel(f, payer);
        assert_int_equal(outcome_of(f, poor)->error, JOB_CANCELLED_ERROR);
        expect(f, "poor", 0, 1);
        (void)take(f, own);
        (void)take_nothing(f);
}

static void when_the_payer_is_too_late_the_next_one_pays(void **state)
{
        struct fixture *f = *state;
        struct job *payer = NULL;

        open_scheduler(f, 1);
        assert_int_equal(submit_order(f,
                                      &(struct order){.task = "a",
                                                      .client = "first",
                                                      .deadline_ms = DEADLINE_MS / 2},
                                      &payer),
                         0);
        (void)order_of(f, "second", "a");
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS * 3 / 4);
        assert_int_equal(outcome_of(f, payer)->error, JOB_DEADLINE);
        expect(f, "second", 0, 1);
}

static void a_payer_that_is_withdrawn_in_flight_is_followed_by_the_next_one(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *payer = order_of(f, "first", "a");
        struct job *other = order_of(f, "second", "a");
        struct scheduler_turn turn = take(f, payer);
        turn.purchase->sent_stored = false; /* as where a store has not written it yet */
        assert_true(entry_withdraw(f->scheduler, f->loop, payer));
        assert_false(scheduler_wants(f->scheduler, &turn));
        assert_true(give_back(f, &turn, SCHEDULER_NOT_TRIED, 0));
        expect(f, "first", 0, 0);
        expect(f, "second", 0, 1);
        turn = take(f, other);
        assert_true(scheduler_wants(f->scheduler, &turn));
        solve_turn(f, &turn);
        expect(f, "second", 1, 0);
}

static void if_nobody_can_follow_him_the_flight_comes_back_to_nothing(void **state)
{
        struct fixture *f = *state;

        set_daily(f, "poor", 1);
        open_scheduler(f, 1);
        struct job *payer = order_of(f, "first", "a");
        struct job *poor = order_of(f, "poor", "a");
        struct scheduler_turn turn = take(f, payer);
        (void)order_of(f, "poor", "b");
        turn.purchase->sent_stored = false; /* as where a store has not written it yet */
        assert_true(entry_withdraw(f->scheduler, f->loop, payer));
        assert_true(give_back(f, &turn, SCHEDULER_NOT_TRIED, 0));
        assert_int_equal(outcome_of(f, poor)->error, JOB_CANCELLED_ERROR);
        expect(f, "first", 0, 0);
        expect(f, "poor", 0, 1);
}

static void who_joined_what_may_have_been_charged_is_told_so(void **state)
{
        const struct order short_of_time = {
                .task = "a", .client = "first", .deadline_ms = DEADLINE_MS / 2};
        struct fixture *f = *state;
        struct job *payer = NULL;

        set_daily(f, "poor", 1);
        open_scheduler(f, 1);
        assert_int_equal(submit_order(f, &short_of_time, &payer), 0);
        struct job *poor = order_of(f, "poor", "a");
        struct scheduler_turn turn = take(f, payer);
        (void)order_of(f, "poor", "b");
        assert_true(give_back(f, &turn, SCHEDULER_IN_DOUBT, LONG_MS));
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS * 3 / 4);
        assert_int_equal(outcome_of(f, payer)->error, JOB_DEADLINE);
        assert_int_equal(outcome_of(f, poor)->error, JOB_OUTCOME_UNKNOWN);
}

static void what_waited_before_the_start_is_reserved_whatever_the_limit_is(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a"), *second = submit(f, "b");
        set_daily(f, "ci", 1);
        expect(f, "ci", 0, 2);
        struct scheduler_turn turn = take(f, first);
        solve_turn(f, &turn);
        turn = take(f, second);
        solve_turn(f, &turn);
        expect(f, "ci", 2, 0);
        expect_refused(f, "ci", "c", QUOTA_DAILY);
}

/* ---- what counts as paid in the results ---- */

static void only_the_job_that_was_charged_counts_as_paid(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *payer = order_of(f, "first", "a"), *joined = order_of(f, "second", "a");
        struct scheduler_turn turn = take(f, payer);
        assert_false(payer->paid);
        solve_turn(f, &turn);
        struct job *hit = submit(f, "a");
        assert_true(payer->paid);
        assert_false(joined->paid);
        assert_false(hit->paid);
}

static void a_job_that_was_not_charged_does_not_count_as_paid(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *refused = submit(f, "a"), *cancelled = submit(f, "b");
        struct scheduler_turn turn = take(f, refused);
        end_turn_as(f, &turn, failure(), STORE_CHARGE_NOT_CHARGED);
        cancel(f, cancelled);
        assert_false(refused->paid);
        assert_false(cancelled->paid);
}

static void a_job_that_may_have_been_charged_counts_as_paid(void **state)
{
        const struct order short_of_time = {.task = "b", .deadline_ms = DEADLINE_MS / 2};
        struct fixture *f = *state;
        struct job *late = NULL;

        open_scheduler(f, 1);
        struct job *unknown = submit(f, "a");
        struct scheduler_turn turn = take(f, unknown);
        end_turn_as(f, &turn, failure(), STORE_CHARGE_UNKNOWN);
        assert_true(unknown->paid);
        assert_int_equal(submit_order(f, &short_of_time, &late), 0);
        struct job *joined = submit(f, "b");
        turn = take(f, late);
        accept_turn(f, &turn);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + DEADLINE_MS * 3 / 4);
        assert_int_equal(outcome_of(f, late)->error, JOB_DEADLINE);
        assert_true(late->paid);
        solve_turn(f, &turn);
        assert_int_equal(outcome_of(f, joined)->state, JOB_SOLVED);
        assert_false(joined->paid);
}

/* ---- room ---- */

static void who_has_few_jobs_finds_room_when_another_one_has_filled_the_queue(void **state)
{
        struct fixture *f = *state;
        struct job *job = NULL;

        f->config.limits.queue_jobs = 2;
        open_scheduler(f, 1);
        (void)order_of(f, "many", "a");
        (void)order_of(f, "many", "b");
        (void)order_of(f, "few", "c");
        assert_int_equal(scheduler_check(f->scheduler, client_named(f, "few")), 0);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -ENOBUFS);
        for (int i = 0; i < SCHEDULER_CLIENT_ROOM - 1; i++)
                (void)order_of(f, "few", (const char[]){(char)('d' + i), '\0'});
        assert_int_equal(submit_order(f, &(struct order){.task = "z", .client = "few"}, &job),
                         -ENOBUFS);
}

static int join(struct fixture *f, const char *client)
{
        struct job *job = NULL;

        return submit_order(f, &(struct order){.task = "slow", .client = client}, &job);
}

static int join_often(struct fixture *f, const char *client)
{
        int joined = 0, r;

        while ((r = join(f, client)) == 0)
                joined++;
        assert_int_equal(r, -ENOBUFS);
        return joined;
}

static void each_client_has_its_share_when_one_has_joined_as_often_as_it_could(void **state)
{
        enum { MAX = 120 + 2 }; /* and 2 slots */
        struct fixture *f = *state;

        f->config.limits.queue_jobs = MAX - 2;
        open_scheduler(f, 1);
        assert_int_equal(join_often(f, "flooder"), MAX);
        assert_int_equal(join_often(f, "second"), MAX / 2);
        assert_int_equal(join_often(f, "third"), MAX / 3);
        assert_int_equal(join(f, "flooder"), -ENOBUFS);
}

static void a_client_whose_jobs_have_ended_counts_no_more(void **state)
{
        enum { MAX = 60 + 2 };
        struct fixture *f = *state;
        struct job *third = NULL;

        f->config.limits.queue_jobs = MAX - 2;
        open_scheduler(f, 1);
        assert_int_equal(join_often(f, "flooder"), MAX);
        assert_int_equal(
                submit_order(f, &(struct order){.task = "slow", .client = "third"}, &third), 0);
        cancel(f, third);
        assert_int_equal(join_often(f, "second"), MAX / 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(a_charge_is_reserved_when_the_job_comes_and_used_when_it_is_charged),
                ON_ENGINE(what_is_reserved_counts_towards_the_limit),
                ON_ENGINE(joining_and_the_cache_cost_nothing),
                ON_ENGINE(what_was_not_charged_is_given_back),
                ON_ENGINE(what_is_turned_away_stays_reserved_until_it_is_sent_again),
                ON_ENGINE(what_may_have_been_charged_is_used),
                ON_ENGINE(sending_again_in_doubt_takes_a_further_charge_or_is_not_done),
                ON_ENGINE(a_rate_refuses_what_comes_too_fast),
                ON_ENGINE(joins_and_the_cache_take_of_the_rate_and_repeats_do_not),
                ON_ENGINE(a_full_rate_holds_up_what_is_free_but_a_used_up_day_does_not),
                ON_ENGINE(who_made_the_purchase_pays_for_all_who_joined),
                ON_ENGINE(when_the_payer_leaves_the_next_one_pays),
                ON_ENGINE(another_job_of_the_payers_client_goes_on_paying),
                ON_ENGINE(who_cannot_pay_is_passed_over_and_stays),
                ON_ENGINE(where_nobody_can_pay_all_are_cancelled),
                ON_ENGINE(when_the_payer_is_too_late_the_next_one_pays),
                ON_ENGINE(a_payer_that_is_withdrawn_in_flight_is_followed_by_the_next_one),
                ON_ENGINE(if_nobody_can_follow_him_the_flight_comes_back_to_nothing),
                ON_ENGINE(who_joined_what_may_have_been_charged_is_told_so),
                ON_ENGINE(what_waited_before_the_start_is_reserved_whatever_the_limit_is),
                ON_ENGINE(only_the_job_that_was_charged_counts_as_paid),
                ON_ENGINE(a_job_that_was_not_charged_does_not_count_as_paid),
                ON_ENGINE(a_job_that_may_have_been_charged_counts_as_paid),
                ON_ENGINE(who_has_few_jobs_finds_room_when_another_one_has_filled_the_queue),
                ON_ENGINE(each_client_has_its_share_when_one_has_joined_as_often_as_it_could),
                ON_ENGINE(a_client_whose_jobs_have_ended_counts_no_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
