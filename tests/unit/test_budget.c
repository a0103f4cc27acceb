/*
 * The budget of retries, and the pauses before them.
 */
#include "dispatch/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_MS 1000000
#define DRAWS    1000 /* one of five does not occur in as many with a chance of 1e-97 */

static int spend_all(struct budget *budget, int64_t now_ms)
{
        int spent = 0;

        while (budget_spend(budget, now_ms))
                assert_in_range(++spent, 1, BUDGET_RETRIES_MAX);
        return spent;
}

static struct budget empty(void)
{
        struct budget budget;

        budget_init(&budget, START_MS);
        (void)spend_all(&budget, START_MS);
        return budget;
}

static void a_few_retries_are_there_from_the_start(void **state)
{
        struct budget budget;
        (void)state;

        budget_init(&budget, START_MS);
        assert_int_equal(spend_all(&budget, START_MS), BUDGET_RETRIES_START);
}

static void five_first_tries_earn_one_retry(void **state)
{
        struct budget budget = empty();
        (void)state;

        for (int i = 0; i < 4; i++)
                budget_earn(&budget);
        assert_false(budget_spend(&budget, START_MS));
        budget_earn(&budget);
        assert_true(budget_spend(&budget, START_MS));
        assert_false(budget_spend(&budget, START_MS));
}

static void retries_stay_a_fifth_of_the_first_tries_however_many_are_asked_for(void **state)
{
        struct budget budget = empty();
        int spent = 0;
        (void)state;

        for (int i = 0; i < 1000; i++) {
                budget_earn(&budget);
                for (int j = 0; j < 3; j++)
                        spent += budget_spend(&budget, START_MS);
        }
        assert_int_equal(spent, 1000 * BUDGET_PERCENT / 100);
}

static void one_retry_comes_with_each_two_seconds(void **state)
{
        struct budget budget = empty();
        (void)state;

        assert_false(budget_spend(&budget, START_MS + BUDGET_FREE_MS - 1));
        assert_true(budget_spend(&budget, START_MS + BUDGET_FREE_MS));
        assert_false(budget_spend(&budget, START_MS + BUDGET_FREE_MS));
        assert_int_equal(spend_all(&budget, START_MS + 4 * BUDGET_FREE_MS), 3);
}

static void asking_often_loses_no_time(void **state)
{
        struct budget budget = empty();
        int spent = 0;
        (void)state;

        for (int64_t ms = 1; ms <= 10 * BUDGET_FREE_MS; ms++)
                spent += budget_spend(&budget, START_MS + ms);
        assert_int_equal(spent, 10);
}

static void what_is_saved_up_has_a_ceiling(void **state)
{
        struct budget budget = empty();
        (void)state;

        for (int i = 0; i < 100 * BUDGET_RETRIES_MAX; i++)
                budget_earn(&budget);
        assert_int_equal(spend_all(&budget, START_MS), BUDGET_RETRIES_MAX);
        assert_int_equal(spend_all(&budget, INT64_MAX), BUDGET_RETRIES_MAX);
}

static void a_clock_that_is_behind_takes_nothing_away(void **state)
{
        struct budget budget;
        (void)state;

        budget_init(&budget, START_MS);
        assert_int_equal(spend_all(&budget, START_MS - 100 * BUDGET_FREE_MS), BUDGET_RETRIES_START);
        assert_false(budget_spend(&budget, START_MS + BUDGET_FREE_MS - 1));
        assert_true(budget_spend(&budget, START_MS + BUDGET_FREE_MS));
}

/* Every pause lies within 0 to longest, and some in the lower and in the upper half. */
static void assert_spreads_over(int64_t base_ms, int64_t cap_ms, int attempt, int64_t longest_ms)
{
        int lower = 0, upper = 0;

        for (int i = 0; i < DRAWS; i++) {
                int64_t pause_ms = budget_backoff_ms(base_ms, cap_ms, attempt, 0);
                assert_true(pause_ms >= 0 && pause_ms <= longest_ms);
                lower += pause_ms < longest_ms / 2;
                upper += pause_ms > longest_ms / 2;
        }
        assert_true(lower > 0 && upper > 0);
}

static void the_longest_pause_doubles_from_try_to_try_up_to_the_cap(void **state)
{
        (void)state;

        assert_spreads_over(250, 10000, 1, 250);
        assert_spreads_over(250, 10000, 2, 500);
        assert_spreads_over(250, 10000, 3, 1000);
        assert_spreads_over(250, 10000, 6, 8000);
        assert_spreads_over(250, 10000, 7, 10000);
        assert_spreads_over(250, 10000, 100, 10000);
        assert_spreads_over(250, 100, 1, 100);
        assert_spreads_over(3, INT64_MAX - 1, 1000, INT64_MAX - 1);
}

static void no_pause_and_the_longest_one_both_occur(void **state)
{
        int seen[3] = {0};
        (void)state;

        for (int i = 0; i < DRAWS; i++)
                seen[budget_backoff_ms(2, 10, 1, 0)]++;
        assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}

static void what_the_upstream_asks_for_is_the_least_even_above_the_cap(void **state)
{
        int longer = 0;
        (void)state;

        for (int i = 0; i < DRAWS; i++) {
                int64_t pause_ms = budget_backoff_ms(1000, 1000, 1, 500);
                assert_true(pause_ms >= 500 && pause_ms <= 1000);
                longer += pause_ms > 500;
                assert_int_equal(budget_backoff_ms(1000, 1000, 1, 30000), 30000);
                assert_in_range(budget_backoff_ms(10, 1000, 0, 0), 0, 10); /* as 1 */
        }
        assert_true(longer > 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_few_retries_are_there_from_the_start),
                cmocka_unit_test(five_first_tries_earn_one_retry),
                cmocka_unit_test(
                        retries_stay_a_fifth_of_the_first_tries_however_many_are_asked_for),
                cmocka_unit_test(one_retry_comes_with_each_two_seconds),
                cmocka_unit_test(asking_often_loses_no_time),
                cmocka_unit_test(what_is_saved_up_has_a_ceiling),
                cmocka_unit_test(a_clock_that_is_behind_takes_nothing_away),
                cmocka_unit_test(the_longest_pause_doubles_from_try_to_try_up_to_the_cap),
                cmocka_unit_test(no_pause_and_the_longest_one_both_occur),
                cmocka_unit_test(what_the_upstream_asks_for_is_the_least_even_above_the_cap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
