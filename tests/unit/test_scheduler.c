/*
 * The scheduler: who sends next, over which account, and when all is done.
 */
#include "base/loop.h"
#include "config/config.h"
#include "engine/scheduler.h"
#include "job/job.h"
#include "upstream/account.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct job *submit(struct scheduler *scheduler, int64_t deadline_after_ms)
{
        struct job *job;

        assert_int_equal(
                job_new(strdup("\"bus\""), strdup("example.com"), NULL, deadline_after_ms, &job),
                0);
        assert_int_equal(scheduler_submit(scheduler, job), 0);
        job_unref(job); /* the queue's reference keeps it */
        return job;
}

static void take(struct scheduler *scheduler, struct account *expected)
{
        struct account *account;
        struct job *job = scheduler_take(scheduler, &account);

        if (!expected) {
                assert_null(job);
                return;
        }
        assert_non_null(job);
        assert_ptr_equal(account, expected);
        job_unref(job);
}

static void jobs_go_in_the_order_they_came_and_never_above_max_in_flight(void **state)
{
        struct config_upstream upstream = {.max_in_flight = 2};
        struct account account = {.config = &upstream};
        struct scheduler *scheduler;
        struct account *taken;
        struct job *jobs[3];

        (void)state;
        assert_int_equal(scheduler_new(&account, 1, 10, &scheduler), 0);
        for (int i = 0; i < 3; i++)
                jobs[i] = submit(scheduler, 1000);
        for (int i = 0; i < 2; i++) {
                assert_ptr_equal(scheduler_take(scheduler, &taken), jobs[i]);
                job_unref(jobs[i]);
        }
        take(scheduler, NULL);
        scheduler_release(scheduler, &account);
        assert_ptr_equal(scheduler_take(scheduler, &taken), jobs[2]);
        job_unref(jobs[2]);
        scheduler_free(scheduler);
}

static void a_full_queue_refuses(void **state)
{
        struct config_upstream upstream = {.max_in_flight = 1};
        struct account account = {.config = &upstream};
        struct scheduler *scheduler;
        struct job *job;

        (void)state;
        assert_int_equal(scheduler_new(&account, 1, 2, &scheduler), 0);
        (void)submit(scheduler, 1000);
        assert_int_equal(scheduler_check(scheduler), 0);
        (void)submit(scheduler, 1000);
        assert_int_equal(scheduler_check(scheduler), -ENOBUFS);
        assert_int_equal(job_new(strdup("\"\""), strdup("h"), NULL, 1000, &job), 0);
        assert_int_equal(scheduler_submit(scheduler, job), -ENOBUFS);
        job_unref(job);
        scheduler_free(scheduler);
}

static void accounts_are_used_by_priority_and_then_by_free_slots(void **state)
{
        struct config_upstream upstreams[] = {
                {.max_in_flight = 9, .priority = 1},
                {.max_in_flight = 1, .priority = 0},
                {.max_in_flight = 2, .priority = 0},
        };
        struct account accounts[] = {
                {.config = &upstreams[0]}, {.config = &upstreams[1]}, {.config = &upstreams[2]}};
        struct scheduler *scheduler;

        (void)state;
        assert_int_equal(scheduler_new(accounts, 3, 10, &scheduler), 0);
        for (int i = 0; i < 4; i++)
                (void)submit(scheduler, 1000);
        take(scheduler, &accounts[2]); /* two free slots against one */
        take(scheduler, &accounts[1]); /* one against one: the first of them */
        take(scheduler, &accounts[2]);
        take(scheduler, &accounts[0]); /* only now the later priority */
        scheduler_free(scheduler);
}

static void a_job_whose_deadline_passed_in_the_queue_is_handed_out_as_overdue(void **state)
{
        struct config_upstream upstream = {.max_in_flight = 1};
        struct account account = {.config = &upstream};
        struct scheduler *scheduler;

        (void)state;
        assert_int_equal(scheduler_new(&account, 1, 10, &scheduler), 0);
        struct job *job = submit(scheduler, 1000);
        assert_null(scheduler_take_overdue(scheduler, job->deadline_ms - 1));
        assert_ptr_equal(scheduler_take_overdue(scheduler, job->deadline_ms), job);
        assert_null(scheduler_take_overdue(scheduler, job->deadline_ms));
        job_unref(job);
        scheduler_free(scheduler);
}

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
        struct config_upstream upstream = {.max_in_flight = 1};
        struct account account = {.config = &upstream};
        struct idle idle = {.mail.deliver = on_idle};
        struct scheduler *scheduler;

        (void)state;
        assert_int_equal(loop_new(&idle.loop), 0);
        assert_int_equal(scheduler_new(&account, 1, 10, &scheduler), 0);
        (void)submit(scheduler, 1000);
        (void)submit(scheduler, 1000);
        take(scheduler, &account);
        scheduler_drain(scheduler, idle.loop, &idle.mail);
        assert_int_equal(scheduler_check(scheduler), -ESHUTDOWN);
        scheduler_release(scheduler, &account);
        take(scheduler, NULL); /* what waits is not sent any more */
        struct job *waiting = scheduler_take_waiting(scheduler);
        assert_non_null(waiting);
        job_unref(waiting);
        loop_run(idle.loop);
        assert_int_equal(idle.told, 1);
        scheduler_free(scheduler);
        loop_free(idle.loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(jobs_go_in_the_order_they_came_and_never_above_max_in_flight),
                cmocka_unit_test(a_full_queue_refuses),
                cmocka_unit_test(accounts_are_used_by_priority_and_then_by_free_slots),
                cmocka_unit_test(a_job_whose_deadline_passed_in_the_queue_is_handed_out_as_overdue),
                cmocka_unit_test(draining_sends_nothing_more_and_tells_when_nothing_is_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
