/*
 * endings_fixture: see endings_fixture.h.
 */
#include "endings_fixture.h"

#include "dispatch/keep.h"
#include "dispatch/scheduler_private.h"
#include "job/waiter.h"
#include "store/sqlite/store_private.h"

struct job *submit_as(struct fixture *f, const char *client, const char *task)
{
        struct job *job = NULL;

        assert_int_equal(submit_order(f, &(struct order){.task = task, .client = client}, &job), 0);
        entry_set_kept_locked(f->scheduler, job, JOB_KEPT);
        job->purchase->recorded = true;
        return job;
}

int64_t reserved_by(struct fixture *f, const char *client)
{
        struct scheduler_usage usage;
        struct quota_figures figures;

        scheduler_usage(f->scheduler, client_named(f, client), &usage, &figures);
        return figures.day.reserved;
}

static void stop_when_nothing_is_written(void *arg)
{
        struct fixture *f = arg;

        if (!scheduler_writes(f->scheduler))
                loop_stop(f->loop);
}

void run_until_written(struct fixture *f)
{
        struct loop_timer *timer;

        assert_int_equal(loop_timer_new(f->loop, stop_when_nothing_is_written, f, &timer), 0);
        loop_timer_start(timer, 0, 1);
        loop_run(f->loop);
        loop_timer_free(timer);
}

void ignore_mail(struct mail *mail)
{
        (void)mail;
}

/* Writes the rows of jobs and their purchases. */
void keep_all(struct fixture *f, struct job *const jobs[], size_t count)
{
        static struct waiter waiters[8]; /* their mail may be delivered later */

        assert_true(count <= sizeof waiters / sizeof *waiters);
        for (size_t i = 0; i < count; i++) {
                waiters[i] = (struct waiter){.loop = f->loop, .mail.deliver = ignore_mail};
                assert_true(keep_wait(f->scheduler, f->loop, jobs[i], &waiters[i]));
        }
        run_until_written(f);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(jobs[i]->kept, JOB_KEPT);
}

void on_reviewed(void *arg, const struct entry_unwanted_counts *counts)
{
        *(struct entry_unwanted_counts *)arg = *counts;
}

size_t count_ended(const struct fixture *f)
{
        size_t count = 0;

        for (size_t i = 0; i < f->job_count; i++)
                count += f->jobs[i]->ended_alone;
        return count;
}

static void on_look(struct mail *mail)
{
        struct watched *watched = (struct watched *)((char *)mail - offsetof(struct watched, mail));
        const struct scheduler *scheduler = watched->f->scheduler;
        size_t ended = count_ended(watched->f);

        watched->turns++;
        if (ended - watched->ended > watched->ended_max)
                watched->ended_max = ended - watched->ended;
        watched->ended = ended;
        if (scheduler->endings > watched->endings_max)
                watched->endings_max = scheduler->endings;
        if (scheduler->expiry.posted || scheduler->review.posted || scheduler->withdrawal.posted ||
            (watched->f->store && sqlite_store_of(watched->f->store)->started &&
             scheduler->records > 0))
                loop_post(watched->f->loop, mail);
        else
                loop_stop(watched->f->loop);
}

struct watched run_watched(struct fixture *f)
{
        struct watched watched = {.f = f, .mail.deliver = on_look, .ended = count_ended(f)};

        loop_post(f->loop, &watched.mail);
        loop_run(f->loop);
        return watched;
}
