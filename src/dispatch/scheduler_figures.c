/*
 * scheduler_figures: what the scheduler knows of clients, queue and accounts, and whether it takes
 * jobs; see scheduler.h.
 */
#include "dispatch/scheduler.h"

#include "access/clients.h"
#include "access/policy.h"
#include "dispatch/arbiter.h"
#include "dispatch/scheduler_private.h"
#include "upstream/account.h"

#include <stdio.h>
#include <string.h>

/* ---- clients ---- */

void scheduler_apply(struct scheduler *scheduler, struct policy *policy)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        struct policy *before = scheduler->policy;
        scheduler->policy = policy_ref(policy);
        scheduler->policies++;
        policy_apply_locked(policy);
        arbiter_limits_changed_locked(scheduler->setup.arbiter);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        policy_unref(before);
}

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

/* ---- the mode ---- */

static enum scheduler_mode mode_locked(const struct scheduler *scheduler)
{
        if (scheduler->draining)
                return SCHEDULER_STOPPING;
        return scheduler->drained ? SCHEDULER_DRAINED : SCHEDULER_TAKING;
}

enum scheduler_mode scheduler_mode(struct scheduler *scheduler)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        enum scheduler_mode mode = mode_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return mode;
}

enum scheduler_mode scheduler_set_drained(struct scheduler *scheduler, bool drained)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler->drained = drained;
        enum scheduler_mode mode = mode_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return mode;
}

/* ---- figures ---- */

/* What tools wait for is between a few tenths of a second and limits.job_deadline. */
static const double solve_bounds_s[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300};

const struct metric_buckets scheduler_solve_buckets = {
        solve_bounds_s,
        sizeof solve_bounds_s / sizeof *solve_bounds_s,
};

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
