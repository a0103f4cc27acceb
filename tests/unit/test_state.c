/*
 * The states: the arrows of the drawing, and numbers that the store has on disk.
 */
#include "job/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_arrows_of_the_drawing_are_the_only_ones(void **state)
{
        static const char *const arrows[] = {
                [JOB_QUEUED] = "sending solved failed cancelled unknown",
                [JOB_SENDING] = "queued accepted solved failed unknown",
                [JOB_ACCEPTED] = "solved failed unknown",
                [JOB_SOLVED] = "",
                [JOB_FAILED] = "",
                [JOB_CANCELLED] = "",
                [JOB_UNKNOWN] = "",
        };

        (void)state;
        for (int from = JOB_QUEUED; from <= JOB_UNKNOWN; from++) {
                for (int to = JOB_QUEUED; to <= JOB_UNKNOWN; to++) {
                        bool drawn = strstr(arrows[from], job_state_name((enum job_state)to));
                        assert_int_equal(
                                job_state_may_become((enum job_state)from, (enum job_state)to),
                                drawn);
                }
                assert_int_equal(job_state_final((enum job_state)from), arrows[from][0] == '\0');
        }
}

static void the_numbers_that_the_store_keeps_have_not_changed(void **state)
{
        static const char *const states[] = {"queued", "sending",   "accepted", "solved",
                                             "failed", "cancelled", "unknown"};
        static const char *const errors[] = {
                "none",     "upstream_rejected", "upstream_unavailable",
                "deadline", "cancelled",         "outcome_unknown"};

        (void)state;
        for (unsigned i = 0; i < sizeof states / sizeof *states; i++)
                assert_string_equal(job_state_name((enum job_state)i), states[i]);
        for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
                assert_string_equal(job_error_code((enum job_error)i), errors[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_arrows_of_the_drawing_are_the_only_ones),
                cmocka_unit_test(the_numbers_that_the_store_keeps_have_not_changed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
