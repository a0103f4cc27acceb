/*
 * scheduler_figures: what the scheduler knows of clients, queue and accounts; see scheduler.h.
 */
#include "engine/scheduler.h"

#include "access/clients.h"
#include "access/policy.h"
#include "engine/scheduler_private.h"
#include "upstream/account.h"

#include <string.h>

/* ---- clients ---- */

void scheduler_apply(struct scheduler *scheduler, struct policy *policy)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        struct policy *before = scheduler->policy;
        scheduler->policy = policy_ref(policy);
        policy_apply_locked(policy);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        policy_unref(before);
}

void scheduler_usage(struct scheduler *scheduler, struct client *client,
                     struct scheduler_usage *ret_usage, struct quota_figures *ret_figures)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        *ret_usage = (struct scheduler_usage){
                .in_flight = client->flow.in_flight,
                .max_in_flight = client->flow.max_in_flight,
                .queued = client->queued,
                .unfinished = client->unfinished,
                .saved_cache = client->saved_cache,
                .saved_collapsed = client->saved_collapsed,
        };
        quota_read(&client->quota, quota_now(), ret_figures);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

/* ---- figures ---- */

void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *ret_figures)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        ret_figures->queued_purchases = scheduler->queue.count;
        ret_figures->queued_jobs = scheduler->waiting_jobs;
        memcpy(ret_figures->solved, scheduler->solved, sizeof scheduler->solved);
        memcpy(ret_figures->ended, scheduler->ended, sizeof scheduler->ended);
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
        if (account)
                *ret_account = (struct scheduler_account){
                        .name = account->name,
                        .in_flight = account->in_flight,
                        .open = account->breaker.open,
                        .out = account->breaker.out,
                        .retired = account->retired,
                };
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return account;
}
