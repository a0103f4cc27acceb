/*
 * The scheduler as operators see it: its jobs, and the order to take no more.
 */
#include "scheduler_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define BATCH 512  /* of a list, at a time */
#define CROWD 2000 /* several of them */

static struct scheduler_list list(struct fixture *f, struct scheduler_choice choice)
{
        struct scheduler_list jobs;

        if (choice.limit == 0)
                choice.limit = 100;
        assert_int_equal(scheduler_jobs(f->scheduler, &choice, &jobs), 0);
        assert_true(jobs.count <= choice.limit && jobs.count <= jobs.total);
        return jobs;
}

static void jobs_are_listed_with_what_they_wait_for_the_oldest_first(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *a = submit(f, "a"), *b = submit(f, "b"), *again = submit(f, "a");
        struct scheduler_turn turn = take(f, a);
        struct scheduler_list jobs = list(f, (struct scheduler_choice){.any_state = true});
        assert_int_equal(jobs.count, 3);
        assert_int_equal(jobs.total, 3);
        assert_ptr_equal(jobs.jobs[0].job, a);
        assert_int_equal(jobs.jobs[0].state, JOB_SENDING);
        assert_string_equal(jobs.jobs[0].upstream, turn.account->name);
        assert_int_equal(jobs.jobs[0].attempts, 1);
        assert_ptr_equal(jobs.jobs[1].job, b);
        assert_int_equal(jobs.jobs[1].state, JOB_QUEUED);
        assert_null(jobs.jobs[1].upstream);
        assert_null(jobs.jobs[1].trouble);
        assert_ptr_equal(jobs.jobs[2].job, again);
        assert_string_equal(jobs.jobs[2].upstream, turn.account->name);
        scheduler_list_done(&jobs);
        solve_turn(f, &turn);
        jobs = list(f, (struct scheduler_choice){.any_state = true});
        assert_int_equal(jobs.count, 1);
        assert_ptr_equal(jobs.jobs[0].job, b);
        scheduler_list_done(&jobs);
}

static void a_job_that_came_back_tells_why_and_has_no_upstream(void **state)
{
        struct fixture *f = *state;
        struct scheduler_job shown;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        scheduler_set_trouble(f->scheduler, turn.purchase, "too busy");
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
        scheduler_describe(f->scheduler, job, &shown);
        assert_int_equal(shown.state, JOB_QUEUED);
        assert_null(shown.upstream);
        assert_int_equal(shown.attempts, 1);
        assert_string_equal(shown.trouble, "too busy");
        assert_string_equal(shown.trouble_upstream, f->accounts.items[0]->name);
        scheduler_job_done(&shown);
}

static void a_job_that_has_ended_is_described_with_who_solved_it(void **state)
{
        struct fixture *f = *state;
        struct scheduler_job shown;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        solve_turn(f, &turn);
        scheduler_describe(f->scheduler, job, &shown);
        assert_int_equal(shown.state, JOB_SOLVED);
        assert_string_equal(shown.upstream, f->accounts.items[0]->name);
        scheduler_job_done(&shown);
}

static void a_choice_of_state_and_client_counts_all_that_fit(void **state)
{
        struct fixture *f = *state;
        struct job *job;

        open_scheduler(f, 1);
        (void)take(f, submit(f, "a"));
        for (int i = 0; i < 3; i++) {
                char task[8];
                (void)snprintf(task, sizeof task, "%d", i);
                assert_int_equal(
                        submit_order(f, &(struct order){.task = task, .client = "ann"}, &job), 0);
        }
        struct scheduler_list jobs = list(
                f, (struct scheduler_choice){.state = JOB_QUEUED, .client = "ann", .limit = 2});
        assert_int_equal(jobs.count, 2);
        assert_int_equal(jobs.total, 3);
        scheduler_list_done(&jobs);
        jobs = list(f, (struct scheduler_choice){.state = JOB_SENDING});
        assert_int_equal(jobs.total, 1);
        scheduler_list_done(&jobs);
        jobs = list(f, (struct scheduler_choice){.any_state = true, .client = "nobody"});
        assert_int_equal(jobs.total, 0);
        scheduler_list_done(&jobs);
}

static void a_limit_leaves_out_and_the_total_does_not(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        for (int i = 0; i < 5; i++) {
                char task[8];
                (void)snprintf(task, sizeof task, "%d", i);
                (void)submit(f, task);
        }
        struct scheduler_list jobs =
                list(f, (struct scheduler_choice){.any_state = true, .limit = 2});
        assert_int_equal(jobs.count, 2);
        assert_int_equal(jobs.total, 5);
        scheduler_list_done(&jobs);
}

struct lister {
        struct fixture *f;
        atomic_int lists, wrong;
        atomic_bool stop;
};

static void *list_ann(void *arg)
{
        struct lister *lister = arg;

        while (!atomic_load(&lister->stop)) {
                struct scheduler_list jobs = list(
                        lister->f, (struct scheduler_choice){.any_state = true, .client = "ann"});
                lister->wrong += jobs.count != 2 || jobs.total != 2;
                lister->lists++;
                scheduler_list_done(&jobs);
        }
        return NULL;
}

/* The job that ends next is always the one with which the first batch of a list does. */
static void each_job_is_counted_once_though_those_that_were_looked_at_end(void **state)
{
        static struct job *crowd[CROWD];
        struct fixture *f = *state;
        struct lister lister = {.f = f};
        pthread_t thread;

        f->config.limits.queue_jobs = CROWD_MAX;
        open_scheduler(f, 1);
        for (int i = 0; i < CROWD; i++) {
                const struct order order = {.task = "a",
                                            .client = i == 0 || i == CROWD - 1 ? "ann" : "ci"};
                assert_int_equal(submit_order(f, &order, &crowd[i]), 0);
        }
        assert_int_equal(pthread_create(&thread, NULL, list_ann, &lister), 0);
        while (lister.lists == 0)
                (void)sched_yield();
        for (int i = BATCH - 1; i < CROWD - 1; i++)
                (void)entry_cancel(f->scheduler, f->loop, crowd[i], END_BY_OWNER);
        lister.stop = true;
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(lister.wrong, 0);
}

static void after_the_operator_s_order_no_job_is_taken_and_those_there_are_go_on(void **state)
{
        struct fixture *f = *state;
        struct job *job;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a");
        assert_int_equal(scheduler_mode(f->scheduler), SCHEDULER_TAKING);
        assert_int_equal(scheduler_set_drained(f->scheduler, true), SCHEDULER_DRAINED);
        assert_int_equal(scheduler_check(f->scheduler, NULL), -EBUSY);
        assert_int_equal(submit_order(f, &(struct order){.task = "b"}, &job), -EBUSY);
        assert_int_equal(submit_order(f, &(struct order){.task = "a"}, &job), -EBUSY);
        struct scheduler_turn turn = take(f, first);
        solve_turn(f, &turn);
        assert_int_equal(scheduler_set_drained(f->scheduler, false), SCHEDULER_TAKING);
        (void)submit(f, "b");
}

static void a_solution_is_measured_and_one_from_the_cache_is_not(void **state)
{
        struct fixture *f = *state;
        struct scheduler_figures figures;
        int64_t count = 0;

        open_scheduler(f, 1);
        struct scheduler_turn turn = take(f, submit(f, "a"));
        (void)submit(f, "a");
        solve_turn(f, &turn);
        (void)submit(f, "a");
        scheduler_figures(f->scheduler, &figures);
        for (size_t i = 0; i <= scheduler_solve_buckets.count; i++)
                count += figures.solve_s.counts[i];
        assert_int_equal(count, 2);
        assert_int_equal(figures.ended[JOB_ERROR_NONE], 3);
        assert_true(figures.solve_s.sum >= 0);
}

static void a_job_of_a_clock_that_was_set_back_took_no_time(void **state)
{
        struct fixture *f = *state;
        struct scheduler_figures figures;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        job->created_ms += LONG_MS;
        solve_turn(f, &turn);
        scheduler_figures(f->scheduler, &figures);
        assert_true(figures.solve_s.sum >= 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(jobs_are_listed_with_what_they_wait_for_the_oldest_first),
                ON_ENGINE(a_job_that_came_back_tells_why_and_has_no_upstream),
                ON_ENGINE(a_job_that_has_ended_is_described_with_who_solved_it),
                ON_ENGINE(a_choice_of_state_and_client_counts_all_that_fit),
                ON_ENGINE(a_limit_leaves_out_and_the_total_does_not),
                ON_ENGINE(each_job_is_counted_once_though_those_that_were_looked_at_end),
                ON_ENGINE(after_the_operator_s_order_no_job_is_taken_and_those_there_are_go_on),
                ON_ENGINE(a_solution_is_measured_and_one_from_the_cache_is_not),
                ON_ENGINE(a_job_of_a_clock_that_was_set_back_took_no_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
