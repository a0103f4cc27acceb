/*
 * Tests of dispatch/job_log: whose lines are limited by what.
 */
#include "dispatch/job_log.h"

#include "access/clients.h"
#include "job/job.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MORE_THAN_ANY 20000 /* lines than a burst has, and than come in by the time */

struct fixture {
        struct clients *clients;
        struct job busy, quiet; /* one of each client */
};

static int make_jobs(void **state)
{
        static struct fixture f;

        if (clients_new(&f.clients) < 0)
                return -1;
        f.busy = (struct job){.flow = &clients_need(f.clients, "busy")->flow};
        f.quiet = (struct job){.flow = &clients_need(f.clients, "quiet")->flow};
        *state = &f;
        return 0;
}

static int free_jobs(void **state)
{
        clients_free(((struct fixture *)*state)->clients);
        return 0;
}

static int flood(enum log_level level, const struct job *job)
{
        int written = 0;

        for (int i = 0; i < MORE_THAN_ANY; i++)
                written += job_log_take(level, job);
        return written;
}

static void jobs_of_one_client_hide_no_end_of_anothers(void **state)
{
        struct fixture *f = *state;
        int written = flood(LOG_LEVEL_INFO, &f->busy);

        assert_true(written >= 5000);
        assert_true(written < MORE_THAN_ANY);
        for (int i = 0; i < 5000; i++)
                assert_true(job_log_take(LOG_LEVEL_INFO, &f->quiet));
}

static void who_paid_before_a_crash_and_has_no_flow_is_limited_too(void **state)
{
        const struct job payer = {.flow = NULL};
        int written = flood(LOG_LEVEL_INFO, &payer);

        (void)state;
        assert_true(written >= 5000);
        assert_true(written < MORE_THAN_ANY);
        assert_true(job_log_take(LOG_LEVEL_WARNING, &payer));
}

static void troubles_of_one_client_hide_none_of_anothers_nor_of_upstreams(void **state)
{
        struct fixture *f = *state;
        int written = flood(LOG_LEVEL_WARNING, &f->busy);

        assert_true(written >= 1000);
        assert_true(written < MORE_THAN_ANY);
        for (int i = 0; i < 1000; i++) {
                assert_true(job_log_take(LOG_LEVEL_WARNING, &f->quiet));
                assert_true(job_log_take_upstream(LOG_LEVEL_ERROR));
        }
}

static void what_went_well_takes_no_room_from_what_did_not(void **state)
{
        struct fixture *f = *state;

        (void)flood(LOG_LEVEL_INFO, &f->busy);
        assert_true(job_log_take(LOG_LEVEL_WARNING, &f->busy));
}

static void a_line_that_is_not_written_counts_for_nothing(void **state)
{
        struct fixture *f = *state;

        log_init(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
        assert_int_equal(flood(LOG_LEVEL_INFO, &f->busy), 0);
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        assert_true(job_log_take(LOG_LEVEL_INFO, &f->busy));
}

#define WITH_JOBS(test) cmocka_unit_test_setup_teardown(test, make_jobs, free_jobs)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_JOBS(jobs_of_one_client_hide_no_end_of_anothers),
                cmocka_unit_test(who_paid_before_a_crash_and_has_no_flow_is_limited_too),
                WITH_JOBS(troubles_of_one_client_hide_none_of_anothers_nor_of_upstreams),
                WITH_JOBS(what_went_well_takes_no_room_from_what_did_not),
                WITH_JOBS(a_line_that_is_not_written_counts_for_nothing),
        };

        return cmocka_run_group_tests_name("job_log", tests, NULL, NULL);
}
