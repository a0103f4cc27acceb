/*
 * A job's times by both clocks.
 */
#include "job/job.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct job *make(int64_t created_wall_ms, int64_t deadline_wall_ms, const int64_t *offset_ms)
{
        const struct job_parts parts = {
                .client = "ci",
                .target_json = "\"bus\"",
                .created_wall_ms = created_wall_ms,
                .deadline_wall_ms = deadline_wall_ms,
                .offset_ms = offset_ms,
        };
        struct job *job = NULL;

        assert_int_equal(job_new(&parts, &job), 0);
        return job;
}

/* As for all jobs of a start, however long that takes. */
static void jobs_with_one_offset_have_equal_deadlines_where_those_of_the_wall_clock_are(
        void **state)
{
        const int64_t offset_ms = -1234567;

        (void)state;
        struct job *job = make(2000000, 5000000, &offset_ms);
        assert_int_equal(job->created_wall_ms, 2000000);
        assert_int_equal(job->created_ms, 2000000 - 1234567);
        assert_int_equal(job->deadline_ms, 5000000 - 1234567);
        job_unref(job);
}

static void without_one_the_times_are_by_what_the_clocks_say(void **state)
{
        (void)state;
        int64_t before_ms = clock_monotonic_ms(), wall_ms = clock_wall_ms();
        struct job *job = make(wall_ms, wall_ms + 60000, NULL);
        assert_in_range(job->created_ms, before_ms - 1000, before_ms + 1000);
        assert_int_equal(job->deadline_ms - job->created_ms, 60000);
        job_unref(job);
}

static void times_without_sense_do_not_overflow(void **state)
{
        (void)state;
        struct job *job = make(INT64_MIN, INT64_MAX, NULL);
        assert_true(job->created_ms < 0 && job->deadline_ms > 0);
        assert_true(job->deadline_ms - job->created_ms > 0);
        job_unref(job);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(
                        jobs_with_one_offset_have_equal_deadlines_where_those_of_the_wall_clock_are),
                cmocka_unit_test(without_one_the_times_are_by_what_the_clocks_say),
                cmocka_unit_test(times_without_sense_do_not_overflow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
