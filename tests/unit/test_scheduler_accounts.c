/*
 * The scheduler's accounts when a reload changes them, adds some or takes some out.
 */
#include "scheduler_fixture.h"

#include <errno.h>
#include <string.h>

static char other_url[] = "https://other";

/* The names of the accounts that operators are told of, each with a space behind it. */
static void assert_told_of(struct fixture *f, const char *wanted)
{
        struct scheduler_account account;
        char names[64] = "";

        scheduler_forget_retired(f->scheduler);
        for (size_t i = 0; scheduler_account(f->scheduler, i, &account); i++) {
                strcat(names, account.name);
                strcat(names, account.retired ? "! " : " ");
        }
        assert_string_equal(names, wanted);
}

static void a_retired_account_gets_nothing_and_keeps_what_it_has(void **state)
{
        struct fixture *f = *state;

        f->upstreams[1].priority = -1;
        open_scheduler(f, 2);
        struct job *a = submit(f, "a"), *b = submit(f, "b"), *c = submit(f, "c");
        struct scheduler_turn turn = take(f, a);
        assert_ptr_equal(turn.account, f->account[1]);
        reconfigure(f, 1);
        assert_told_of(f, "first second! ");
        assert_ptr_equal(take(f, b).account, f->account[0]);
        assert_false(scheduler_wants(f->scheduler, &turn));
        assert_non_null(f->account[1]->terms);
        solve_turn(f, &turn);
        assert_told_of(f, "first ");
        assert_null(f->account[1]->terms); /* nobody needs the credential any more */
        reconfigure(f, 2);
        assert_told_of(f, "first second ");
        assert_ptr_equal(take(f, c).account, f->account[1]);
}

static void more_slots_are_used_at_once_and_fewer_take_nothing_back(void **state)
{
        struct fixture *f = *state;

        f->upstreams[0].max_in_flight = 1;
        open_scheduler(f, 1);
        struct job *jobs[] = {submit(f, "a"), submit(f, "b"), submit(f, "c")};
        struct scheduler_turn first = take(f, jobs[0]);
        (void)take_nothing(f);
        f->upstreams[0].max_in_flight = 2;
        reconfigure(f, 1);
        assert_true(scheduler_wants(f->scheduler, &first));
        (void)take(f, jobs[1]);
        f->upstreams[0].max_in_flight = 1;
        reconfigure(f, 1);
        assert_int_equal(f->account[0]->in_flight, 2);
        solve_turn(f, &first);
        (void)take_nothing(f);
}

static void the_queue_is_as_long_as_it_may_be_by_now(void **state)
{
        struct fixture *f = *state;

        f->config.limits.queue_jobs = 1;
        open_scheduler(f, 1);
        (void)submit(f, "a");
        assert_int_equal(scheduler_check(f->scheduler, NULL), -ENOBUFS);
        f->config.limits.queue_jobs = 2;
        reconfigure(f, 1);
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        f->config.limits.queue_jobs = 1;
        reconfigure(f, 1);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -ENOBUFS);
}

static void an_account_that_has_changed_begins_in_good_health(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn turn = take(f, a);
        scheduler_note(f->scheduler, &turn, BREAKER_REFUSED, 0);
        (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, 0);
        (void)take_nothing(f);
        reconfigure(f, 1);
        (void)take_nothing(f); /* nothing of it is different */
        assert_int_equal(scheduler_check(f->scheduler, NULL), -EHOSTUNREACH);
        f->upstreams[0].url = other_url;
        reconfigure(f, 1);
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        assert_false(take(f, a).probe);
        (void)take(f, b);
}

static void what_was_sent_before_the_change_says_nothing_about_the_account(void **state)
{
        struct fixture *f = *state;

        f->config.retry.recheck_ms = 0;
        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn turn = take(f, a);
        scheduler_note(f->scheduler, &turn, BREAKER_REFUSED, 0);
        (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, 0);
        probe_ends(f, BREAKER_WELL);
        turn = take(f, a);
        assert_true(turn.probe);
        assert_false(scheduler_has_other(f->scheduler, &turn));

        f->config.retry.recheck_ms = LONG_MS;
        f->upstreams[0].url = other_url;
        reconfigure(f, 1);
        assert_false(scheduler_wants(f->scheduler, &turn));
        assert_true(scheduler_has_other(f->scheduler, &turn));
        scheduler_note(f->scheduler, &turn, BREAKER_REFUSED, 0);
        assert_int_equal(scheduler_check(f->scheduler, NULL), 0);
        assert_false(take(f, b).probe);
}

static void a_turn_has_the_terms_of_its_beginning_and_is_asked_for_by_the_new_ones(void **state)
{
        struct fixture *f = *state;
        unsigned health;

        open_scheduler(f, 1);
        struct job *a = submit(f, "a");
        struct scheduler_turn turn = take(f, a);
        f->upstreams[0].priority = 7;
        reconfigure(f, 1);
        struct account_terms *terms = scheduler_terms(f->scheduler, &turn);
        assert_int_equal(terms->priority, 7);
        assert_int_equal(turn.terms->priority, 0);
        account_terms_unref(terms);

        f->upstreams[0].url = other_url;
        reconfigure(f, 1);
        terms = scheduler_terms(f->scheduler, &turn);
        assert_ptr_equal(terms, turn.terms);
        account_terms_unref(terms);
        terms = scheduler_account_terms(f->scheduler, f->account[0], &health);
        assert_string_equal(terms->url, other_url);
        account_terms_unref(terms);
}

/* Two names of one account, of which the second has more slots. */
static void open_two_names(struct fixture *f)
{
        f->upstreams[1].url = f->upstreams[0].url;
        f->upstreams[0].max_in_flight = 1;
        f->upstreams[1].max_in_flight = 2;
        open_scheduler(f, 2);
}

static void two_names_of_one_account_share_the_fewer_slots(void **state)
{
        struct fixture *f = *state;

        open_two_names(f);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn turn = take(f, a);
        assert_int_equal(take_nothing(f), INT64_MAX);
        solve_turn(f, &turn);
        (void)take(f, b);
        assert_int_equal(take_nothing(f), INT64_MAX);
}

static void a_name_that_goes_leaves_its_slots_to_the_other(void **state)
{
        struct fixture *f = *state;

        open_two_names(f);
        struct job *a = submit(f, "a"), *b = submit(f, "b"), *c = submit(f, "c");
        struct scheduler_turn turn = take(f, a);
        assert_ptr_equal(turn.account, f->account[0]);
        struct account *retired = f->account[0];
        f->account[0] = f->account[1];
        f->upstreams[0].max_in_flight = 2;
        f->upstreams[0].name = f->upstreams[1].name;
        reconfigure(f, 1);
        assert_true(retired->retired);
        assert_ptr_equal(take(f, b).account, f->account[1]);
        assert_int_equal(take_nothing(f), INT64_MAX); /* the retired one has a job still */
        solve_turn(f, &turn);
        (void)take(f, c);
}

static void another_url_is_another_account_whose_slots_are_free(void **state)
{
        struct fixture *f = *state;

        f->upstreams[0].max_in_flight = 1;
        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b");
        struct scheduler_turn turn = take(f, a);
        char *before = f->upstreams[0].url;
        f->upstreams[0].url = other_url;
        reconfigure(f, 1);
        (void)take(f, b);
        struct job *c = submit(f, "c");
        assert_int_equal(take_nothing(f), INT64_MAX);
        f->upstreams[0].url = before; /* where the first job still is */
        reconfigure(f, 1);
        assert_int_equal(take_nothing(f), INT64_MAX);
        solve_turn(f, &turn);
        (void)take(f, c);
}

static void the_first_account_is_one_that_is_not_retired(void **state)
{
        struct fixture *f = *state;
        unsigned health;

        f->upstreams[2].priority = -2;
        f->upstreams[1].priority = -1;
        open_scheduler(f, 3);
        assert_int_equal(scheduler_first_account(f->scheduler), 2);
        reconfigure(f, 2);
        assert_int_equal(scheduler_first_account(f->scheduler), 1);
        assert_null(scheduler_account_terms(f->scheduler, f->account[2], &health));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(a_retired_account_gets_nothing_and_keeps_what_it_has),
                ON_ENGINE(more_slots_are_used_at_once_and_fewer_take_nothing_back),
                ON_ENGINE(the_queue_is_as_long_as_it_may_be_by_now),
                ON_ENGINE(an_account_that_has_changed_begins_in_good_health),
                ON_ENGINE(what_was_sent_before_the_change_says_nothing_about_the_account),
                ON_ENGINE(a_turn_has_the_terms_of_its_beginning_and_is_asked_for_by_the_new_ones),
                ON_ENGINE(two_names_of_one_account_share_the_fewer_slots),
                ON_ENGINE(a_name_that_goes_leaves_its_slots_to_the_other),
                ON_ENGINE(another_url_is_another_account_whose_slots_are_free),
                ON_ENGINE(the_first_account_is_one_that_is_not_retired),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
