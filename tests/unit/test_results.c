/*
 * The results: finding jobs, moving their states, waking who waits, forgetting in time.
 */
#include "base/clock.h"
#include "base/loop.h"
#include "job/results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE (64 << 20)

static struct job *new_job(void)
{
        struct job *job;

        assert_int_equal(job_new(strdup("\"bus\""), strdup("example.com"), NULL, 1000, &job), 0);
        return job;
}

static struct job_outcome solved(size_t bytes)
{
        struct job_outcome outcome = {.members = calloc(1, bytes + 1), .members_len = bytes};

        memset(outcome.members, 'x', bytes);
        return outcome;
}

static void solve(struct results *results, struct job *job, size_t bytes)
{
        struct job_outcome outcome = solved(bytes);

        results_move(results, job, JOB_SENDING, NULL);
        results_move(results, job, JOB_SOLVED, &outcome);
}

static void a_job_is_found_by_its_id_until_it_expires(void **state)
{
        struct results *results;
        struct job *job = new_job(), *found;

        (void)state;
        assert_int_equal(results_new(1000, LARGE, &results), 0);
        assert_int_equal(results_add(results, job), 0);
        found = results_find(results, job->id);
        assert_ptr_equal(found, job);
        job_unref(found);
        results_sweep(results, clock_monotonic_ms() + 5000); /* not final: stays */
        found = results_find(results, job->id);
        assert_ptr_equal(found, job);
        job_unref(found);
        solve(results, job, 10);
        results_sweep(results, clock_monotonic_ms() + 5000);
        assert_null(results_find(results, job->id));
        job_unref(job);
        results_free(results);
}

static void an_expired_job_is_unknown_even_before_the_sweep(void **state)
{
        struct results *results;
        struct job *job = new_job();

        (void)state;
        assert_int_equal(results_new(0, LARGE, &results), 0);
        assert_int_equal(results_add(results, job), 0);
        solve(results, job, 10);
        assert_null(results_find(results, job->id));
        job_unref(job);
        results_free(results);
}

static void ids_are_matched_whole(void **state)
{
        struct results *results;
        struct job *job = new_job();
        char longer[JOB_ID_CHARS + 2];

        (void)state;
        assert_int_equal(results_new(1000, LARGE, &results), 0);
        assert_int_equal(results_add(results, job), 0);
        memcpy(longer, job->id, JOB_ID_CHARS);
        memcpy(longer + JOB_ID_CHARS, "x", 2);
        assert_null(results_find(results, longer));
        longer[JOB_ID_CHARS - 1] = '\0';
        assert_null(results_find(results, longer));
        assert_null(results_find(results, ""));
        job_unref(job);
        results_free(results);
}

static void over_the_ceiling_the_oldest_final_jobs_go_first(void **state)
{
        enum { JOBS = 200, BYTES = 20000 };
        struct results *results;
        struct job *jobs[JOBS];
        int found = 0;

        (void)state;
        assert_int_equal(results_new(60000, 1 << 20, &results), 0);
        for (int i = 0; i < JOBS; i++) {
                jobs[i] = new_job();
                assert_int_equal(results_add(results, jobs[i]), 0);
                solve(results, jobs[i], BYTES);
        }
        assert_null(results_find(results, jobs[0]->id));
        for (int i = 0; i < JOBS; i++) {
                struct job *job = results_find(results, jobs[i]->id);
                found += job != NULL;
                job_unref(job);
                job_unref(jobs[i]);
        }
        assert_true(found > 10 && found * BYTES <= 1 << 20);
        results_free(results);
}

struct listener {
        struct waiter waiter;
        int told;
        struct loop *loop;
};

static void on_mail(struct mail *mail)
{
        struct listener *listener = (struct listener *)mail;

        listener->told++;
        loop_stop(listener->loop);
}

static void init_listener(struct listener *listener, struct loop *loop, enum waiter_level level)
{
        *listener = (struct listener){.loop = loop};
        listener->waiter.mail.deliver = on_mail;
        listener->waiter.loop = loop;
        listener->waiter.level = level;
}

static void who_waits_is_told_once_at_the_level_awaited(void **state)
{
        struct results *results;
        struct job *job = new_job();
        struct listener first, final;
        struct job_outcome outcome = solved(3);
        struct loop *loop;

        (void)state;
        assert_int_equal(loop_new(&loop), 0);
        assert_int_equal(results_new(1000, LARGE, &results), 0);
        assert_int_equal(results_add(results, job), 0);
        init_listener(&first, loop, WAITER_FIRST_ANSWER);
        init_listener(&final, loop, WAITER_FINAL);
        assert_true(results_wait(results, job, &first.waiter));
        assert_true(results_wait(results, job, &final.waiter));

        results_move(results, job, JOB_SENDING, NULL);
        results_move(results, job, JOB_ACCEPTED, NULL);
        loop_run(loop);
        assert_int_equal(first.told, 1);
        assert_int_equal(final.told, 0);
        assert_false(results_unwait(results, job, &first.waiter));

        results_move(results, job, JOB_SOLVED, &outcome);
        loop_run(loop);
        assert_int_equal(first.told, 1);
        assert_int_equal(final.told, 1);
        assert_false(results_wait(results, job, &final.waiter)); /* nothing to wait for */
        job_unref(job);
        results_free(results);
        loop_free(loop);
}

static void who_stopped_waiting_is_not_told(void **state)
{
        struct results *results;
        struct job *job = new_job();
        struct listener gone, stays;
        struct loop *loop;

        (void)state;
        assert_int_equal(loop_new(&loop), 0);
        assert_int_equal(results_new(1000, LARGE, &results), 0);
        assert_int_equal(results_add(results, job), 0);
        init_listener(&gone, loop, WAITER_FINAL);
        init_listener(&stays, loop, WAITER_FINAL);
        assert_true(results_wait(results, job, &gone.waiter));
        assert_true(results_wait(results, job, &stays.waiter));
        assert_true(results_unwait(results, job, &gone.waiter));
        solve(results, job, 3);
        loop_run(loop);
        assert_int_equal(gone.told, 0);
        assert_int_equal(stays.told, 1);
        job_unref(job);
        results_free(results);
        loop_free(loop);
}

static void the_arrows_of_the_drawing_are_the_only_ones(void **state)
{
        static const char *const arrows[] = {
                [JOB_QUEUED] = "sending failed cancelled",
                [JOB_SENDING] = "accepted solved failed unknown",
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_job_is_found_by_its_id_until_it_expires),
                cmocka_unit_test(an_expired_job_is_unknown_even_before_the_sweep),
                cmocka_unit_test(ids_are_matched_whole),
                cmocka_unit_test(over_the_ceiling_the_oldest_final_jobs_go_first),
                cmocka_unit_test(who_waits_is_told_once_at_the_level_awaited),
                cmocka_unit_test(who_stopped_waiting_is_not_told),
                cmocka_unit_test(the_arrows_of_the_drawing_are_the_only_ones),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
