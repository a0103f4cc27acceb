/*
 * Outcomes: what each says, and that there is always one.
 */
#include "job/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_solved_one_takes_over_the_upstreams_members(void **state)
{
        char *members = strdup("\"solution\":[1]");
        struct outcome *outcome = outcome_solved(members, strlen(members));

        (void)state;
        assert_int_equal(outcome->state, JOB_SOLVED);
        assert_int_equal(outcome->error, JOB_ERROR_NONE);
        assert_ptr_equal(outcome->text, members);
        assert_int_equal(outcome->len, strlen(members));
        outcome_unref(outcome);
}

static void a_failed_one_has_a_copy_of_the_message(void **state)
{
        char message[] = "no such luck";
        struct outcome *outcome = outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, message);

        (void)state;
        message[0] = '\0';
        assert_int_equal(outcome->state, JOB_FAILED);
        assert_int_equal(outcome->error, JOB_UPSTREAM_REJECTED);
        assert_string_equal(outcome->text, "no such luck");
        assert_int_equal(outcome->len, strlen("no such luck"));
        outcome_unref(outcome);
}

static void it_stays_as_long_as_anybody_holds_it(void **state)
{
        struct outcome *outcome = outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, "gone");

        (void)state;
        assert_ptr_equal(outcome_ref(outcome), outcome);
        outcome_unref(outcome);
        assert_string_equal(outcome->text, "gone");
        outcome_unref(outcome);
        outcome_unref(NULL);
}

static void a_result_that_found_no_memory_is_unknown_and_not_lost(void **state)
{
        struct outcome *outcome = outcome_solved(NULL, 0);

        (void)state;
        assert_int_equal(outcome->state, JOB_UNKNOWN);
        assert_int_equal(outcome->error, JOB_OUTCOME_UNKNOWN);
        assert_null(outcome->text);
        assert_int_equal(outcome->len, 0);
        outcome_unref(outcome);
        assert_ptr_equal(outcome_solved(NULL, 0), outcome); /* it is never freed */
        outcome_unref(outcome);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_solved_one_takes_over_the_upstreams_members),
                cmocka_unit_test(a_failed_one_has_a_copy_of_the_message),
                cmocka_unit_test(it_stays_as_long_as_anybody_holds_it),
                cmocka_unit_test(a_result_that_found_no_memory_is_unknown_and_not_lost),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
