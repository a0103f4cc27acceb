/*
 * scheduler: see scheduler.h.
 */
#include "engine/scheduler.h"

#include "base/loop.h"
#include "config/config.h"
#include "job/job.h"
#include "job/queue.h"
#include "upstream/account.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct scheduler {
        pthread_mutex_t mutex;
        struct queue queue;       /* guarded by mutex */
        struct account *accounts; /* their in_flight is guarded by mutex */
        size_t account_count;
        size_t in_flight;       /* guarded by mutex: of all accounts */
        bool draining;          /* guarded by mutex */
        struct loop *idle_loop; /* guarded by mutex; valid while draining */
        struct mail *idle;      /* guarded by mutex; NULL once posted */
};

int scheduler_new(struct account *accounts, size_t count, size_t max_jobs,
                  struct scheduler **ret_scheduler)
{
        struct scheduler *scheduler = calloc(1, sizeof *scheduler);

        if (!scheduler)
                return -ENOMEM;
        (void)pthread_mutex_init(&scheduler->mutex, NULL);
        scheduler->accounts = accounts;
        scheduler->account_count = count;
        scheduler->queue.max_jobs = max_jobs;
        *ret_scheduler = scheduler;
        return 0;
}

void scheduler_free(struct scheduler *scheduler)
{
        struct job *job;

        if (!scheduler)
                return;
        while ((job = queue_pop(&scheduler->queue)))
                job_unref(job);
        (void)pthread_mutex_destroy(&scheduler->mutex);
        free(scheduler);
}

static int check_locked(const struct scheduler *scheduler)
{
        if (scheduler->draining)
                return -ESHUTDOWN;
        return scheduler->queue.count < scheduler->queue.max_jobs ? 0 : -ENOBUFS;
}

int scheduler_check(struct scheduler *scheduler)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = check_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return r;
}

int scheduler_submit(struct scheduler *scheduler, struct job *job)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = check_locked(scheduler);
        if (r == 0)
                r = queue_push(&scheduler->queue, job_ref(job));
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return r;
}

/* Returns whether a is to be used before b. */
static bool account_before(const struct account *a, const struct account *b)
{
        if (a->config->priority != b->config->priority)
                return a->config->priority < b->config->priority;
        return a->config->max_in_flight - a->in_flight > b->config->max_in_flight - b->in_flight;
}

static struct account *free_account_locked(const struct scheduler *scheduler)
{
        struct account *best = NULL;

        for (size_t i = 0; i < scheduler->account_count; i++) {
                struct account *account = &scheduler->accounts[i];
                if (account->in_flight >= account->config->max_in_flight)
                        continue;
                if (!best || account_before(account, best))
                        best = account;
        }
        return best;
}

struct job *scheduler_take(struct scheduler *scheduler, struct account **ret_account)
{
        struct job *job = NULL;

        (void)pthread_mutex_lock(&scheduler->mutex);
        struct account *account = scheduler->draining ? NULL : free_account_locked(scheduler);
        if (account)
                job = queue_pop(&scheduler->queue);
        if (job) {
                account->in_flight++;
                scheduler->in_flight++;
                *ret_account = account;
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return job;
}

/* A mail once posted belongs to the loop, so it is forgotten here. */
static void tell_idle_locked(struct scheduler *scheduler)
{
        if (!scheduler->draining || !scheduler->idle)
                return;
        if (scheduler->queue.count > 0 || scheduler->in_flight > 0)
                return;
        struct mail *idle = scheduler->idle;
        scheduler->idle = NULL;
        loop_post(scheduler->idle_loop, idle);
}

void scheduler_release(struct scheduler *scheduler, struct account *account)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        assert(account->in_flight > 0 && scheduler->in_flight > 0);
        account->in_flight--;
        scheduler->in_flight--;
        tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

struct job *scheduler_take_overdue(struct scheduler *scheduler, int64_t now_ms)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        struct job *job = queue_oldest(&scheduler->queue);
        if (job && job->deadline_ms <= now_ms)
                queue_remove(&scheduler->queue, job);
        else
                job = NULL;
        tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return job;
}

void scheduler_drain(struct scheduler *scheduler, struct loop *loop, struct mail *idle)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        assert(!scheduler->draining);
        scheduler->draining = true;
        scheduler->idle_loop = loop;
        scheduler->idle = idle;
        tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

struct job *scheduler_take_waiting(struct scheduler *scheduler)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        struct job *job = queue_pop(&scheduler->queue);
        tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return job;
}
