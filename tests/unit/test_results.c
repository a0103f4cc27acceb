/*
 * The results: finding jobs by id, moving their states, waking who waits, forgetting in time.
 */
#include "base/clock.h"
#include "base/loop.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE  (64 << 20)
#define TTL_MS 60000 /* does not pass in a test */

static struct results *open_results(int64_t ttl_ms, int64_t max_bytes)
{
        const struct results_setup setup = {.ttl_ms = ttl_ms, .max_bytes = max_bytes};
        struct results *results;

        assert_int_equal(results_new(&setup, &results), 0);
        return results;
}

static struct job *new_job(void)
{
        const struct job_parts parts = {
                .client = "ci",
                .target_json = "\"bus\"",
                .created_wall_ms = clock_wall_ms(),
                .deadline_wall_ms = clock_wall_ms() + 1000,
        };
        struct job *job;

        assert_int_equal(job_new(&parts, &job), 0);
        return job;
}

static void add(struct results *results, struct job *job)
{
        assert_int_equal(results_add(results, job), 0);
}

static struct job *add_new(struct results *results)
{
        struct job *job = new_job();

        add(results, job);
        return job;
}

static bool is_found(struct results *results, const struct job *job)
{
        struct job *found = results_find(results, job->id);

        if (found)
                assert_ptr_equal(found, job);
        job_unref(found);
        return found != NULL;
}

static void finish(struct results *results, struct job *job, struct outcome *outcome,
                   int64_t finished_ms)
{
        results_move(results, job, JOB_SENDING);
        results_finish(results, job, outcome, finished_ms);
        outcome_unref(outcome);
}

static void solve(struct results *results, struct job *job, size_t bytes)
{
        finish(results, job, outcome_solved(calloc(1, bytes), bytes), clock_monotonic_ms());
}

static int64_t bytes_of(struct results *results)
{
        struct results_figures figures;

        results_read(results, &figures);
        return figures.bytes;
}

/* ---- by id, and in time ---- */

static void a_job_is_found_by_its_id_until_it_expires(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = add_new(results);

        (void)state;
        assert_true(is_found(results, job));
        results_sweep(results, clock_monotonic_ms() + 5 * TTL_MS);
        assert_true(is_found(results, job)); /* not final: stays */
        solve(results, job, 10);
        assert_true(is_found(results, job));
        results_sweep(results, clock_monotonic_ms() + 5 * TTL_MS);
        assert_false(is_found(results, job));
        job_unref(job);
        results_free(results);
}

/* Solves a job whose time is over in a moment, and waits for that; nothing sweeps meanwhile. */
static void solve_and_expire(struct results *results, struct job *job)
{
        int64_t almost_ms = clock_monotonic_ms() - TTL_MS + 20;

        finish(results, job, outcome_solved(calloc(1, 1), 1), almost_ms);
        while (clock_monotonic_ms() < almost_ms + TTL_MS)
                ;
}

static void an_expired_job_is_unknown_even_before_the_sweep(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = add_new(results);

        (void)state;
        solve_and_expire(results, job);
        assert_false(is_found(results, job));
        job_unref(job);
        results_free(results);
}

static void the_time_counts_from_when_it_finished_even_before_a_restart(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *late = add_new(results), *early = add_new(results);
        int64_t now_ms = clock_monotonic_ms();

        (void)state;
        finish(results, late, outcome_failed(JOB_FAILED, JOB_DEADLINE, "late"),
               now_ms - TTL_MS * 3 / 4);
        finish(results, early, outcome_failed(JOB_FAILED, JOB_DEADLINE, "early"), now_ms);
        results_sweep(results, now_ms + TTL_MS / 2);
        assert_false(is_found(results, late));
        assert_true(is_found(results, early));
        job_unref(late);
        job_unref(early);
        results_free(results);
}

static void ids_are_matched_whole(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = add_new(results);
        char longer[JOB_ID_CHARS + 2];

        (void)state;
        memcpy(longer, job->id, JOB_ID_CHARS);
        memcpy(longer + JOB_ID_CHARS, "x", 2);
        assert_null(results_find(results, longer));
        longer[JOB_ID_CHARS - 1] = '\0';
        assert_null(results_find(results, longer));
        assert_null(results_find(results, ""));
        job_unref(job);
        results_free(results);
}

static void a_job_that_was_taken_out_is_unknown(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = new_job();

        (void)state;
        add(results, job);
        results_remove(results, job);
        assert_false(is_found(results, job));
        job_unref(job);
        results_free(results);
}

/* ---- the ceiling ---- */

static void over_the_ceiling_the_oldest_final_jobs_go_first(void **state)
{
        enum { JOBS = 200, BYTES = 20000 };
        struct results *results = open_results(60000, 1 << 20);
        struct job *pending = add_new(results), *jobs[JOBS];
        int found = 0;

        (void)state;
        for (int i = 0; i < JOBS; i++) {
                jobs[i] = add_new(results);
                solve(results, jobs[i], BYTES);
        }
        for (int i = 0; i < JOBS; i++) {
                if (is_found(results, jobs[i]))
                        found++;
                else
                        assert_int_equal(found, 0); /* no older one has stayed */
                job_unref(jobs[i]);
        }
        assert_true(found * BYTES > 1 << 19 && found * BYTES <= 1 << 20);
        assert_true(is_found(results, pending));
        job_unref(pending);
        results_free(results);
}

static void count_forgotten(void *arg, struct job *gone)
{
        size_t *count = arg;

        for (const struct job *job = gone; job; job = job->expiry_next)
                ++*count;
}

static void few_go_when_one_finishes_though_a_lower_ceiling_leaves_many_over_it(void **state)
{
        enum { JOBS = 10000, FINISHED = 100 };
        size_t gone = 0;
        const struct results_setup setup = {
                .ttl_ms = TTL_MS, .max_bytes = LARGE, .forget = count_forgotten, .arg = &gone};
        struct results *results;

        (void)state;
        assert_int_equal(results_new(&setup, &results), 0);
        for (int i = 0; i < JOBS + FINISHED; i++) {
                struct job *job = add_new(results);
                if (i == JOBS)
                        results_limit(results, TTL_MS, bytes_of(results) / 2);
                solve(results, job, 10);
                job_unref(job);
        }
        assert_in_range(gone, FINISHED + 1, 2 * FINISHED); /* more than have come */
        while (results_sweep(results, clock_monotonic_ms()))
                ;
        assert_in_range(gone, JOBS / 2, JOBS / 2 + 2 * FINISHED);
        results_free(results);
}

struct forgotten {
        size_t count;
        char ids[4][JOB_ID_CHARS + 1];
};

static void on_forget(void *arg, struct job *gone)
{
        struct forgotten *forgotten = arg;

        for (const struct job *job = gone; job; job = job->expiry_next) {
                assert_true(forgotten->count < 4);
                memcpy(forgotten->ids[forgotten->count++], job->id, sizeof job->id);
        }
}

static void who_wants_to_know_is_told_which_jobs_are_forgotten(void **state)
{
        struct forgotten forgotten = {0};
        const struct results_setup setup = {
                .ttl_ms = TTL_MS, .max_bytes = LARGE, .forget = on_forget, .arg = &forgotten};
        struct results *results;
        struct job *jobs[3];

        (void)state;
        assert_int_equal(results_new(&setup, &results), 0);
        for (int i = 0; i < 3; i++) {
                jobs[i] = add_new(results);
                if (i < 2)
                        solve(results, jobs[i], 10);
        }
        results_sweep(results, clock_monotonic_ms());
        assert_int_equal(forgotten.count, 0);
        results_sweep(results, clock_monotonic_ms() + 5 * TTL_MS);
        assert_int_equal(forgotten.count, 2);
        for (int i = 0; i < 3; i++) {
                if (i < 2)
                        assert_string_equal(forgotten.ids[i], jobs[i]->id);
                job_unref(jobs[i]);
        }
        results_free(results);
        assert_int_equal(forgotten.count, 2); /* the end forgets nothing */
}

static void other_ceilings_hold_for_what_is_there_already(void **state)
{
        struct results *results = open_results(5 * TTL_MS, LARGE);
        struct job *old = add_new(results), *new = add_new(results);

        (void)state;
        solve(results, old, 10);
        results_limit(results, 0, LARGE);
        assert_false(is_found(results, old));
        results_limit(results, 5 * TTL_MS, LARGE);
        assert_true(is_found(results, old)); /* until it is swept */
        solve(results, new, 10);
        results_sweep(results, clock_monotonic_ms() + 4 * TTL_MS);
        assert_true(is_found(results, new));
        results_limit(results, 5 * TTL_MS, bytes_of(results) * 3 / 4);
        results_sweep(results, clock_monotonic_ms());
        assert_false(is_found(results, old));
        assert_true(is_found(results, new));
        results_limit(results, TTL_MS, LARGE);
        results_sweep(results, clock_monotonic_ms() + 2 * TTL_MS);
        assert_false(is_found(results, new));
        job_unref(old);
        job_unref(new);
        results_free(results);
}

/* ---- who waits ---- */

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
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = add_new(results);
        struct outcome *outcome = outcome_solved(calloc(1, 3), 3);
        struct listener first, final;
        struct loop *loop;

        (void)state;
        assert_int_equal(loop_new(&loop), 0);
        init_listener(&first, loop, WAITER_FIRST_ANSWER);
        init_listener(&final, loop, WAITER_FINAL);
        assert_true(results_wait(results, job, &first.waiter));
        assert_true(results_wait(results, job, &final.waiter));

        results_move(results, job, JOB_SENDING);
        results_move(results, job, JOB_QUEUED); /* turned away */
        results_move(results, job, JOB_SENDING);
        results_move(results, job, JOB_ACCEPTED);
        loop_run(loop);
        assert_int_equal(first.told, 1);
        assert_int_equal(final.told, 0);
        assert_false(results_unwait(results, job, &first.waiter));
        assert_false(results_wait(results, job, &first.waiter)); /* it has come so far already */

        results_finish(results, job, outcome, clock_monotonic_ms());
        loop_run(loop);
        assert_int_equal(first.told, 1);
        assert_int_equal(final.told, 1);
        assert_false(results_wait(results, job, &final.waiter));
        outcome_unref(outcome);
        job_unref(job);
        results_free(results);
        loop_free(loop);
}

static void who_stopped_waiting_is_not_told(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = add_new(results);
        struct listener gone, stays;
        struct loop *loop;

        (void)state;
        assert_int_equal(loop_new(&loop), 0);
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

static void who_is_nudged_looks_though_nothing_has_changed(void **state)
{
        struct results *results = open_results(TTL_MS, LARGE);
        struct job *job = add_new(results);
        struct listener listener;
        struct loop *loop;

        (void)state;
        assert_int_equal(loop_new(&loop), 0);
        init_listener(&listener, loop, WAITER_FINAL);
        assert_true(results_wait(results, job, &listener.waiter));
        results_nudge(results, job);
        loop_run(loop);
        assert_int_equal(listener.told, 1);
        assert_int_equal(results_state(results, job), JOB_QUEUED);
        assert_false(results_unwait(results, job, &listener.waiter));
        job_unref(job);
        results_free(results);
        loop_free(loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_job_is_found_by_its_id_until_it_expires),
                cmocka_unit_test(an_expired_job_is_unknown_even_before_the_sweep),
                cmocka_unit_test(the_time_counts_from_when_it_finished_even_before_a_restart),
                cmocka_unit_test(ids_are_matched_whole),
                cmocka_unit_test(a_job_that_was_taken_out_is_unknown),
                cmocka_unit_test(over_the_ceiling_the_oldest_final_jobs_go_first),
                cmocka_unit_test(
                        few_go_when_one_finishes_though_a_lower_ceiling_leaves_many_over_it),
                cmocka_unit_test(who_wants_to_know_is_told_which_jobs_are_forgotten),
                cmocka_unit_test(other_ceilings_hold_for_what_is_there_already),
                cmocka_unit_test(who_waits_is_told_once_at_the_level_awaited),
                cmocka_unit_test(who_stopped_waiting_is_not_told),
                cmocka_unit_test(who_is_nudged_looks_though_nothing_has_changed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
