/*
 * The scheduler: who sends next, over which account, when again, and when all is done.
 */
#include "base/clock.h"
#include "dispatch/budget.h"
#include "scheduler_fixture.h"

#include <errno.h>

/* ---- turns ---- */

static void jobs_go_in_the_order_they_came_and_never_above_max_in_flight(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b"), *c = submit(f, "c");
        struct scheduler_turn first = take(f, a);
        assert_ptr_equal(first.account, f->account[0]);
        assert_false(first.probe);
        assert_int_equal(state_of(f, a), JOB_SENDING);
        (void)take(f, b);
        assert_int_equal(take_nothing(f), INT64_MAX); /* time alone makes no room */
        assert_int_equal(state_of(f, c), JOB_QUEUED);
        solve_turn(f, &first);
        (void)take(f, c);
        assert_int_equal(take_nothing(f), INT64_MAX);
}

static void a_full_queue_refuses(void **state)
{
        struct fixture *f = *state;
        struct job *job;

        f->config.limits.queue_jobs = 2;
        open_scheduler(f, 1);
        struct job *first = submit(f, "a");
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        (void)submit(f, "b");
        assert_int_equal(scheduler_check(f->scheduler, NULL), -ENOBUFS);
        assert_int_equal(submit_order(f, &(struct order){.task = "c"}, &job), -ENOBUFS);
        (void)take(f, first);
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        (void)submit(f, "c");
}

static void followers_do_not_pile_up_without_end(void **state)
{
        struct fixture *f = *state;
        struct job *job;

        f->config.limits.queue_jobs = 3; /* and 2 slots */
        open_scheduler(f, 1);
        (void)take(f, submit(f, "a"));
        for (int i = 0; i < 4; i++)
                (void)submit(f, "a");
        assert_int_equal(submit_order(f, &(struct order){.task = "a"}, &job), -ENOBUFS);
}

static void accounts_are_used_by_priority_and_then_by_free_slots(void **state)
{
        struct fixture *f = *state;
        /* The second has two free slots against one, and then it is the first of equals. */
        static const size_t accounts[] = {2, 1, 2, 0};

        f->upstreams[0].priority = 1;
        f->upstreams[0].max_in_flight = 9;
        f->upstreams[1].max_in_flight = 1;
        open_scheduler(f, 3);
        struct job *jobs[] = {submit(f, "a"), submit(f, "b"), submit(f, "c"), submit(f, "d")};
        for (size_t i = 0; i < 4; i++)
                assert_ptr_equal(take(f, jobs[i]).account, f->account[accounts[i]]);
}

/* ---- coming back ---- */

static void one_that_comes_back_goes_before_those_that_came_later(void **state)
{
        struct fixture *f = *state;

        f->upstreams[0].max_in_flight = 1;
        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn turn = take(f, a);
        assert_true(give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0));
        assert_int_equal(state_of(f, a), JOB_QUEUED);
        turn = take(f, a);
        solve_turn(f, &turn);
        (void)take(f, b);
}

static void a_pause_is_kept_while_others_go_on(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn turn = take(f, a);
        int64_t before_ms = clock_monotonic_ms();
        assert_true(give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS));
        (void)take(f, b);
        int64_t again_ms = take_nothing(f);
        assert_true(again_ms >= before_ms + LONG_MS && again_ms <= clock_monotonic_ms() + LONG_MS);
}

static void only_what_was_really_tried_counts_as_a_try(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        assert_int_equal(job->purchase->attempts, 0);
        for (int tries = 1; tries <= 3; tries++) {
                struct scheduler_turn turn = take(f, job);
                assert_int_equal(turn.attempts, tries);
                (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, 0);
                turn = take(f, job);
                assert_int_equal(turn.attempts, tries);
                (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0);
        }
}

/* So many purchases are turned away, to pause for so long; returns how many are sent again. */
static int retries_of(struct fixture *f, int purchases, int64_t pause_ms)
{
        struct scheduler_turn turns[JOBS_MAX], turn;
        int64_t again_ms;
        int taken = 0;

        for (int i = 0; i < purchases; i++) {
                char task[2] = {(char)('a' + i), '\0'};
                turns[i] = take(f, submit(f, task));
        }
        for (int i = 0; i < purchases; i++)
                (void)give_back(f, &turns[i], SCHEDULER_TURNED_AWAY, pause_ms);
        int64_t paused_ms = clock_monotonic_ms() + pause_ms;
        while (clock_monotonic_ms() < paused_ms)
                ; /* a millisecond at most */
        while (scheduler_take(f->scheduler, NULL, &turn, &again_ms)) {
                f->flying[f->flying_count++] = turn;
                taken++;
        }
        assert_true(again_ms > paused_ms && again_ms < paused_ms + LONG_MS);
        return taken;
}

static void expect_retries_within_budget(struct fixture *f, int64_t pause_ms)
{
        enum { PURCHASES = 25 };
        int64_t started_ms = clock_monotonic_ms();

        f->upstreams[0].max_in_flight = JOBS_MAX;
        open_scheduler(f, 1);
        int taken = retries_of(f, PURCHASES, pause_ms);
        int budget = BUDGET_RETRIES_START + PURCHASES * BUDGET_PERCENT / 100;
        assert_in_range(taken, budget,
                        budget + (clock_monotonic_ms() - started_ms) / BUDGET_FREE_MS);
}

static void retries_stay_within_their_budget(void **state)
{
        expect_retries_within_budget(*state, 1);
}

static void retries_for_which_the_lot_gave_no_pause_do_so_too(void **state)
{
        expect_retries_within_budget(*state, 0);
}

/* ---- the upstreams' health ---- */

static void fail_often(struct fixture *f, struct job *job)
{
        for (int i = 0; i < BREAKER_FAILURES; i++) {
                struct scheduler_turn turn = take(f, job);
                scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
                (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, 0);
        }
}

static void an_account_that_fails_often_gets_nothing_until_it_is_probed(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        int64_t before_ms = clock_monotonic_ms();
        fail_often(f, job);
        assert_true(take_nothing(f) >= before_ms + LONG_MS);
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0); /* jobs may wait for that */
}

static void one_job_probes_at_a_time_and_its_success_lets_the_others_go(void **state)
{
        struct fixture *f = *state;

        f->config.retry.probe_ms = 0;
        open_scheduler(f, 1);
        struct job *a = submit(f, "a");
        fail_often(f, a);
        struct job *b = submit(f, "b");
        assert_int_equal(take_nothing(f), INT64_MAX);
        probe_ends(f, BREAKER_WELL);
        struct scheduler_turn turn = take(f, a);
        assert_true(turn.probe);
        assert_int_equal(a->purchase->attempts, 0);
        assert_int_equal(take_nothing(f), INT64_MAX);

        scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY,
                        LONG_MS); /* no pause of its own: the breaker's counts */
        probe_ends(f, BREAKER_WELL);
        turn = take(f, a);
        assert_true(turn.probe);
        scheduler_note(f->scheduler, &turn, BREAKER_WELL, 0);
        assert_false(take(f, b).probe);
}

static void a_probe_may_be_a_job_that_pauses(void **state)
{
        struct fixture *f = *state;

        f->config.retry.probe_ms = 0;
        open_scheduler(f, 1);
        struct job *paused = submit(f, "a"), *job = submit(f, "b");
        struct scheduler_turn turn = take(f, paused), other = take(f, job);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
        (void)give_back(f, &other, SCHEDULER_NOT_TRIED, 0);
        fail_often(f, job);
        probe_ends(f, BREAKER_WELL);
        turn = take(f, job);
        scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
        solve_turn(f, &turn);
        probe_ends(f, BREAKER_WELL);
        assert_true(take(f, paused).probe);
}

/* The breaker is half-open, so that a retry that pauses may be the probe. */
static void half_open_with(struct fixture *f, struct job *const paused[], size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct scheduler_turn turn = take(f, paused[i]);
                (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
        }
        struct job *job = submit(f, "of the breaker");
        fail_often(f, job);
        probe_ends(f, BREAKER_WELL);
        struct scheduler_turn turn = take(f, job);
        scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
        solve_turn(f, &turn);
        probe_ends(f, BREAKER_WELL);
}

static void a_job_whose_payer_is_overdue_is_passed_over_once_for_the_probe(void **state)
{
        const struct order short_of_time = {.task = "a", .deadline_ms = DEADLINE_MS / 2};
        struct fixture *f = *state;
        struct job *paused[2] = {0};

        f->config.retry.probe_ms = 0;
        open_scheduler(f, 1);
        assert_int_equal(submit_order(f, &short_of_time, &paused[0]), 0);
        (void)submit(f, "a"); /* joins, and is not overdue */
        paused[1] = submit(f, "b");
        half_open_with(f, paused, 2);
        int64_t now_ms = clock_monotonic_ms();
        paused[0]->deadline_ms = now_ms; /* the first one is it as before */
        assert_true(take(f, paused[1]).probe);
        assert_int_equal(paused[0]->flow->turns.in_flight, 1);
}

static void if_there_is_no_other_one_the_scheduler_waits_for_the_next_tick(void **state)
{
        const struct order short_of_time = {.task = "a", .deadline_ms = DEADLINE_MS / 2};
        struct fixture *f = *state;
        struct job *paused = NULL;

        f->config.retry.probe_ms = 0;
        open_scheduler(f, 1);
        assert_int_equal(submit_order(f, &short_of_time, &paused), 0);
        struct job *joined = submit(f, "a");
        half_open_with(f, &paused, 1);
        paused->deadline_ms = clock_monotonic_ms();
        int64_t before_ms = clock_monotonic_ms();
        assert_true(take_nothing(f) > before_ms);
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms());
        assert_int_equal(outcome_of(f, paused)->error, JOB_DEADLINE);
        assert_int_equal(state_of(f, joined), JOB_QUEUED);
}

static void a_refused_account_takes_no_jobs_as_long_as_there_is_no_other(void **state)
{
        struct fixture *f = *state;
        struct job *job;

        open_scheduler(f, 2);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn first = take(f, a), second = take(f, b);
        assert_ptr_not_equal(first.account, second.account);
        scheduler_note(f->scheduler, &first, BREAKER_REFUSED, 0);
        assert_true(scheduler_has_other(f->scheduler, &first));
        assert_false(scheduler_has_other(f->scheduler, &second));
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        (void)give_back(f, &first, SCHEDULER_NOT_TRIED, 0);
        assert_ptr_equal(take(f, a).account, second.account);

        scheduler_note(f->scheduler, &second, BREAKER_REFUSED, 0);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -EHOSTUNREACH);
        assert_int_equal(submit_order(f, &(struct order){.task = "c"}, &job), -EHOSTUNREACH);
}

static void a_refused_account_is_usable_again_when_its_balance_is_answered(void **state)
{
        struct fixture *f = *state;

        f->config.retry.recheck_ms = 0;
        open_scheduler(f, 1);
        struct job *a = submit(f, "a");
        struct scheduler_turn turn = take(f, a);
        scheduler_note(f->scheduler, &turn, BREAKER_REFUSED, 0);
        (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, 0);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -EHOSTUNREACH);
        probe_ends(f, BREAKER_REFUSED);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -EHOSTUNREACH);
        probe_ends(f, BREAKER_WELL);
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        assert_true(take(f, a).probe);
}

/* ---- failover ---- */

/* The job's turn is at that account, which does not take it. */
static void turn_away(struct fixture *f, struct job *job, const struct account *account)
{
        struct scheduler_turn turn = take(f, job);

        assert_ptr_equal(turn.account, account);
        scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
}

static void a_job_that_was_turned_away_goes_to_another_account_at_once(void **state)
{
        struct fixture *f = *state;

        f->upstreams[1].priority = 1;
        open_scheduler(f, 2);
        struct job *job = submit(f, "a");
        turn_away(f, job, f->account[0]);
        turn_away(f, job, f->account[1]);
        /* Nobody is left who has not turned it away. */
        int64_t before_ms = clock_monotonic_ms();
        assert_in_range(take_nothing(f), before_ms + LONG_MS - 1000, before_ms + LONG_MS);
        assert_int_equal(job->purchase->attempts, 2);
}

static void that_costs_no_budget(void **state)
{
        struct fixture *f = *state;
        char task[2] = "a";

        f->upstreams[1].priority = 1;
        open_scheduler(f, 2);
        for (int i = 0; i < 2 * BUDGET_RETRIES_START; i++, task[0]++) {
                struct job *job = submit(f, task);
                struct scheduler_turn turn = take(f, job);
                (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
                turn = take(f, job);
                assert_ptr_equal(turn.account, f->account[1]);
                solve_turn(f, &turn);
        }
}

static void nor_is_it_the_last_try(void **state)
{
        struct fixture *f = *state;

        f->config.retry.attempts = 2;
        open_scheduler(f, 3);
        struct job *job = submit(f, "a");
        for (int i = 0; i < 3; i++) {
                struct scheduler_turn turn = take(f, job);
                assert_ptr_equal(turn.account, f->account[i]);
                assert_true(turn.attempt_left);
                assert_int_equal(turn.attempts, 1);
                (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0);
        }
        struct scheduler_turn turn = take(f, job); /* where it was before */
        assert_int_equal(turn.attempts, 2);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0);
        assert_int_equal(outcome_of(f, job)->error, JOB_UPSTREAM_UNAVAILABLE);
}

static void without_room_there_it_waits_for_room_or_for_its_pause(void **state)
{
        struct fixture *f = *state;

        f->upstreams[0].priority = 1;
        f->upstreams[0].max_in_flight = 1;
        open_scheduler(f, 2);
        f->upstreams[1].max_in_flight = 1;
        reconfigure(f, 2);
        struct job *filler = submit(f, "filler"), *job = submit(f, "a");
        struct scheduler_turn there = take(f, filler), turn = take(f, job);
        assert_ptr_equal(turn.account, f->account[0]);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
        int64_t before_ms = clock_monotonic_ms();
        assert_in_range(take_nothing(f), before_ms + LONG_MS - 1000, before_ms + LONG_MS);
        solve_turn(f, &there);
        assert_ptr_equal(take(f, job).account, f->account[1]);
}

static void others_go_where_one_was_turned_away(void **state)
{
        struct fixture *f = *state;

        f->upstreams[1].priority = 1;
        f->upstreams[1].max_in_flight = 1;
        open_scheduler(f, 2);
        struct job *a = submit(f, "a"), *b = submit(f, "b"), *c = submit(f, "c");
        struct scheduler_turn turn_a = take(f, a), turn_b = take(f, b), turn_c = take(f, c);
        assert_ptr_equal(turn_c.account, f->account[1]);
        (void)give_back(f, &turn_a, SCHEDULER_TURNED_AWAY, LONG_MS);
        struct job *d = submit(f, "d");
        assert_ptr_equal(take(f, d).account, f->account[0]);
        solve_turn(f, &turn_b);
        solve_turn(f, &turn_c);
        assert_ptr_equal(take(f, a).account, f->account[1]);
}

/* The first account's breaker is half-open. Its balance is answered, so the next job is its probe.
 */
static void half_open_first(struct fixture *f)
{
        struct job *jobs[BREAKER_FAILURES];
        char task[2] = "0";

        for (int i = 0; i < BREAKER_FAILURES; i++, task[0]++) {
                jobs[i] = submit(f, task);
                turn_away(f, jobs[i], f->account[0]);
                struct scheduler_turn turn = take(f, jobs[i]);
                assert_ptr_equal(turn.account, f->account[1]);
                solve_turn(f, &turn);
        }
        probe_ends(f, BREAKER_WELL);
}

static void expect_one_probe_each(struct fixture *f)
{
        f->config.retry.probe_ms = 0;
        open_scheduler(f, 2);
        half_open_first(f);
        for (char task[2] = "a"; task[0] < 'e'; task[0]++) {
                struct job *job = submit(f, task);
                struct scheduler_turn turn = take(f, job);
                assert_ptr_equal(turn.account, f->account[0]);
                assert_true(turn.probe);
                scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
                (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0);
                probe_ends(f, BREAKER_WELL); /* it could be the probe once more */
                turn = take(f, job);
                assert_ptr_equal(turn.account, f->account[1]);
                assert_false(turn.probe);
                solve_turn(f, &turn);
        }
}

static void a_job_that_failed_as_the_probe_goes_to_a_healthy_account_by_priority(void **state)
{
        struct fixture *f = *state;

        f->upstreams[1].priority = 1;
        expect_one_probe_each(f);
}

static void and_within_one_priority(void **state)
{
        expect_one_probe_each(*state);
}

static void while_no_other_account_is_healthy_it_may_be_the_probe_again(void **state)
{
        struct fixture *f = *state;

        f->config.retry.probe_ms = 0;
        f->upstreams[1].priority = 1;
        open_scheduler(f, 2);
        half_open_first(f);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        scheduler_note(f->scheduler, &turn, BREAKER_LATER, 0);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0);
        turn = take(f, job);
        scheduler_note(f->scheduler, &turn, BREAKER_LATER,
                       LONG_MS); /* the other asks for a pause */
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0);
        probe_ends(f, BREAKER_WELL);
        turn = take(f, job);
        assert_ptr_equal(turn.account, f->account[0]);
        assert_true(turn.probe);
}

static void a_free_probe_is_taken_once_and_not_while_stopping(void **state)
{
        struct fixture *f = *state;
        struct mail mail = {0};
        struct scheduler_probe probe, other;
        int64_t again_ms;

        f->config.retry.probe_ms = 0;
        open_scheduler(f, 1);
        assert_false(scheduler_take_probe(f->scheduler, &probe, &again_ms));
        assert_true(again_ms == INT64_MAX);
        fail_often(f, submit(f, "a"));
        assert_true(scheduler_take_probe(f->scheduler, &probe, &again_ms));
        assert_false(scheduler_take_probe(f->scheduler, &other, &again_ms));
        assert_true(again_ms == INT64_MAX);
        scheduler_end_probe(f->scheduler, &probe, BREAKER_UNREACHABLE, 0);
        scheduler_drain(f->scheduler, f->loop, &mail);
        assert_false(scheduler_take_probe(f->scheduler, &probe, &again_ms));
}

/* ---- the end ---- */

struct idle {
        struct mail mail;
        struct loop *loop;
        int told;
};

static void on_idle(struct mail *mail)
{
        struct idle *idle = (struct idle *)mail;

        idle->told++;
        loop_stop(idle->loop);
}

static void draining_sends_nothing_more_and_tells_when_nothing_is_left(void **state)
{
        struct fixture *f = *state;
        struct idle idle = {.mail.deliver = on_idle, .loop = f->loop};
        struct job *job;

        open_scheduler(f, 1);
        struct job *sent = submit(f, "a"), *waits = submit(f, "b");
        struct scheduler_turn turn = take(f, sent);
        (void)scheduler_drain(f->scheduler, f->loop, &idle.mail);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -ESHUTDOWN);
        assert_int_equal(submit_order(f, &(struct order){.task = "c"}, &job), -ESHUTDOWN);
        (void)take_nothing(f);
        entry_cancel_waiting(f->scheduler, f->loop);
        assert_int_equal(state_of(f, waits), JOB_CANCELLED);
        solve_turn(f, &turn);
        assert_int_equal(state_of(f, sent), JOB_SOLVED);
        loop_run(f->loop);
        assert_int_equal(idle.told, 1);
}

static void what_comes_back_while_draining_is_for_the_caller_to_cancel(void **state)
{
        struct fixture *f = *state;
        struct idle idle = {.mail.deliver = on_idle, .loop = f->loop};

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        (void)scheduler_drain(f->scheduler, f->loop, &idle.mail);
        assert_false(give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0));
        entry_cancel_waiting(f->scheduler, f->loop);
        assert_int_equal(state_of(f, job), JOB_CANCELLED);
        loop_run(f->loop);
        assert_int_equal(idle.told, 1);
}

static void an_idle_scheduler_says_so_at_once(void **state)
{
        struct fixture *f = *state;
        struct idle idle = {.mail.deliver = on_idle, .loop = f->loop};

        open_scheduler(f, 1);
        (void)scheduler_drain(f->scheduler, f->loop, &idle.mail);
        loop_run(f->loop);
        assert_int_equal(idle.told, 1);
        assert_false(scheduler_writes(f->scheduler));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(jobs_go_in_the_order_they_came_and_never_above_max_in_flight),
                ON_ENGINE(a_full_queue_refuses),
                ON_ENGINE(followers_do_not_pile_up_without_end),
                ON_ENGINE(accounts_are_used_by_priority_and_then_by_free_slots),
                ON_ENGINE(one_that_comes_back_goes_before_those_that_came_later),
                ON_ENGINE(a_pause_is_kept_while_others_go_on),
                ON_ENGINE(only_what_was_really_tried_counts_as_a_try),
                ON_ENGINE(retries_stay_within_their_budget),
                ON_ENGINE(retries_for_which_the_lot_gave_no_pause_do_so_too),
                ON_ENGINE(an_account_that_fails_often_gets_nothing_until_it_is_probed),
                ON_ENGINE(one_job_probes_at_a_time_and_its_success_lets_the_others_go),
                ON_ENGINE(a_probe_may_be_a_job_that_pauses),
                ON_ENGINE(a_job_whose_payer_is_overdue_is_passed_over_once_for_the_probe),
                ON_ENGINE(if_there_is_no_other_one_the_scheduler_waits_for_the_next_tick),
                ON_ENGINE(a_refused_account_takes_no_jobs_as_long_as_there_is_no_other),
                ON_ENGINE(a_refused_account_is_usable_again_when_its_balance_is_answered),
                ON_ENGINE(a_job_that_was_turned_away_goes_to_another_account_at_once),
                ON_ENGINE(that_costs_no_budget),
                ON_ENGINE(nor_is_it_the_last_try),
                ON_ENGINE(without_room_there_it_waits_for_room_or_for_its_pause),
                ON_ENGINE(others_go_where_one_was_turned_away),
                ON_ENGINE(a_job_that_failed_as_the_probe_goes_to_a_healthy_account_by_priority),
                ON_ENGINE(and_within_one_priority),
                ON_ENGINE(while_no_other_account_is_healthy_it_may_be_the_probe_again),
                ON_ENGINE(a_free_probe_is_taken_once_and_not_while_stopping),
                ON_ENGINE(draining_sends_nothing_more_and_tells_when_nothing_is_left),
                ON_ENGINE(what_comes_back_while_draining_is_for_the_caller_to_cancel),
                ON_ENGINE(an_idle_scheduler_says_so_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
