/*
 * scheduler_show: what the scheduler tells of clients, the queue, accounts and jobs, mostly to
 * operators; see scheduler.h.
 */
#include "dispatch/scheduler.h"

#include "access/clients.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"
#include "job/results.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_BATCH 512 /* jobs that are looked at while the mutex is held */

/* ---- figures ---- */

void scheduler_usage(struct scheduler *scheduler, struct client *client,
                     struct scheduler_usage *ret_usage, struct quota_figures *ret_figures)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        *ret_usage = (struct scheduler_usage){
                .in_flight = client->flow.turns.in_flight,
                .max_in_flight = client->flow.turns.max_in_flight,
                .queued = client->queued,
                .unfinished = client->unfinished,
                .saved_cache = client->saved_cache,
                .saved_collapsed = client->saved_collapsed,
        };
        quota_read(&client->quota, quota_now(), ret_figures);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *ret_figures)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        ret_figures->queued_purchases = scheduler->queue.count;
        ret_figures->queued_jobs = scheduler->waiting_jobs;
        memcpy(ret_figures->solved, scheduler->solved, sizeof scheduler->solved);
        memcpy(ret_figures->ended, scheduler->ended, sizeof scheduler->ended);
        ret_figures->solve_s = scheduler->solve_s;
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

/* NULL: there are not so many. */
static const struct account *shown_locked(const struct accounts *accounts, size_t index)
{
        for (size_t i = 0; i < accounts_count(accounts); i++) {
                const struct account *account = accounts->items[i];
                if (!account->gone && index-- == 0)
                        return account;
        }
        return NULL;
}

bool scheduler_account(struct scheduler *scheduler, size_t index,
                       struct scheduler_account *ret_account)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        const struct account *account = shown_locked(scheduler->setup.accounts, index);
        if (account) {
                const struct account_terms *terms = account->terms;
                *ret_account = (struct scheduler_account){
                        .name = account->name,
                        .api = terms->api,
                        .priority = terms->priority,
                        .max_in_flight = terms->max_in_flight,
                        .in_flight = account->in_flight,
                        .open = account->breaker.open,
                        .out = account->breaker.out,
                        .retired = account->retired,
                };
                (void)snprintf(ret_account->url, sizeof ret_account->url, "%s", terms->url);
                request_counts_read(&account->requests, &ret_account->requests);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return account;
}

/*
 * ---- jobs that are not final ----
 *
 * The mutex is held for one batch at a time, so a long list holds nobody up. Between two, jobs may
 * come, move on and end: the list is of jobs that were there when they were looked at.
 */

static void describe_locked(struct scheduler *scheduler, struct job *job,
                            struct scheduler_job *ret_job)
{
        const struct purchase *purchase = job->purchase;

        *ret_job = (struct scheduler_job){
                .job = job_ref(job),
                .state = results_state(scheduler->setup.results, job),
        };
        if (!purchase)
                return;
        ret_job->upstream = purchase->account;
        ret_job->attempts = purchase->attempts;
        /* Without memory it is told less of. */
        ret_job->trouble = purchase->trouble ? strdup(purchase->trouble) : NULL;
        ret_job->trouble_upstream = ret_job->trouble ? purchase->trouble_account : NULL;
}

void scheduler_job_done(struct scheduler_job *job)
{
        free(job->trouble);
        job_unref(job->job);
}

void scheduler_describe(struct scheduler *scheduler, struct job *job, struct scheduler_job *ret_job)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        describe_locked(scheduler, job, ret_job);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

static bool fits(const struct job *job, const struct scheduler_choice *choice)
{
        if (choice->client && strcmp(job->client, choice->client) != 0)
                return false;
        return !choice->any_state ? job->purchase->state == choice->state : true;
}

/* Looks at a batch. Returns whether there is more. */
static bool look_locked(struct scheduler *scheduler, const struct scheduler_choice *choice,
                        struct scheduler_list *list, struct unfinished_cursor *cursor)
{
        struct job *job = NULL;

        for (int i = 0; i < LOOK_BATCH && (job = unfinished_cursor_next(cursor)); i++) {
                if (!fits(job, choice))
                        continue;
                if (list->count < choice->limit)
                        describe_locked(scheduler, job, &list->jobs[list->count++]);
                list->total++;
        }
        if (choice->client || !choice->any_state || list->count < choice->limit)
                return job != NULL;
        list->total = scheduler->unfinished.count; /* all of them, without looking */
        return false;
}

/* The jobs from before the start by their time, all that is known of their order; behind them those
 * that came since, by their number: two of one millisecond can have their times the wrong way
 * round. */
static int by_age(const void *a, const void *b)
{
        const struct job *one = ((const struct scheduler_job *)a)->job;
        const struct job *other = ((const struct scheduler_job *)b)->job;

        if (one->arrival > 0 || other->arrival > 0)
                return (one->arrival > other->arrival) - (one->arrival < other->arrival);
        return (one->created_ms > other->created_ms) - (one->created_ms < other->created_ms);
}

int scheduler_jobs(struct scheduler *scheduler, const struct scheduler_choice *choice,
                   struct scheduler_list *ret_list)
{
        struct scheduler_list list = {.jobs = calloc(choice->limit, sizeof *list.jobs)};
        struct unfinished_cursor cursor;

        if (!list.jobs)
                return -ENOMEM;
        (void)pthread_mutex_lock(&scheduler->mutex);
        unfinished_cursor_open(&scheduler->unfinished, &cursor);
        while (look_locked(scheduler, choice, &list, &cursor))
                scheduler_let_others_in_locked(scheduler);
        unfinished_cursor_close(&scheduler->unfinished, &cursor);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        qsort(list.jobs, list.count, sizeof *list.jobs, by_age);
        *ret_list = list;
        return 0;
}

void scheduler_list_done(struct scheduler_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                scheduler_job_done(&list->jobs[i]);
        free(list->jobs);
}
