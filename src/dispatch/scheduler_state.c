/*
 * scheduler_state: how the scheduler begins and ends, whether it takes jobs, and the stop; see
 * scheduler.h.
 */
#include "dispatch/scheduler.h"

#include "access/clients.h"
#include "access/policy.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "base/loop.h"
#include "dispatch/arbiter.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"
#include "job/results.h"
#include "store/store.h"
#include "upstream/account.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#define NUDGE_BATCH 512 /* jobs, likewise */

static void on_wants(void *arg, struct queue_flow *flow, bool wants)
{
        arbiter_wants_locked(arg, flow, wants);
}

int scheduler_new(const struct scheduler_setup *setup, struct scheduler **ret_scheduler)
{
        struct scheduler *scheduler = calloc(1, sizeof *scheduler);

        if (!scheduler)
                return -ENOMEM;
        scheduler->setup = *setup;
        scheduler->queue.wants = on_wants;
        scheduler->queue.arg = setup->arbiter;
        setup->arbiter->scheduler = scheduler;
        scheduler->withdrawal.scheduler = scheduler;
        scheduler->review.scheduler = scheduler;
        (void)pthread_mutex_init(&scheduler->mutex, NULL);
        budget_init(&scheduler->budget, clock_monotonic_ms());
        *ret_scheduler = scheduler;
        return 0;
}

/* The next start finds what the store has. */
static void forget_waiting(struct scheduler *scheduler, struct purchase *purchase)
{
        queue_remove(&scheduler->queue, purchase);
        entry_unlist_locked(scheduler, purchase);
        payment_release_locked(scheduler->setup.arbiter, purchase);
        payment_fix_locked(purchase, NULL);
        purchase_unref(purchase); /* its jobs have references */
}

static void forget_job(struct scheduler *scheduler, struct job *job)
{
        if (job->purchase->queued)
                forget_waiting(scheduler, job->purchase);
        unfinished_remove(&scheduler->unfinished, job);
        DL_DELETE2(job->purchase->jobs, job, sibling_prev, sibling_next);
        job->attached = false;
        job_unref(job);
}

void scheduler_free(struct scheduler *scheduler)
{
        struct purchase *purchase, *next;

        if (!scheduler)
                return;
        while (scheduler->unfinished.jobs)
                forget_job(scheduler, scheduler->unfinished.jobs);
        DL_FOREACH_SAFE2 (scheduler->accepted, purchase, next, queue_next) {
                entry_unlist_locked(scheduler, purchase);
                payment_fix_locked(purchase, NULL);
                purchase_unref(purchase);
        }
        for (size_t i = 0; i < accounts_count(scheduler->setup.accounts); i++)
                scheduler_slots_drop_locked(scheduler, scheduler->setup.accounts->items[i]);
        assert(!scheduler->slots);
        policy_unref(scheduler->policy);
        (void)pthread_mutex_destroy(&scheduler->mutex);
        free(scheduler);
}

void scheduler_lock(struct scheduler *scheduler)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
}

void scheduler_unlock(struct scheduler *scheduler)
{
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

/* ---- room ---- */

/* How many of max a client may have when others have taken all: as many as each one of the clients
 * that have jobs, the client itself included. */
static size_t share_of(const struct scheduler *scheduler, const struct client *client, size_t max)
{
        size_t clients = scheduler->busy_clients + (client->unfinished == 0);
        size_t share = max / (clients > 0 ? clients : 1);

        return share > SCHEDULER_CLIENT_ROOM ? share : SCHEDULER_CLIENT_ROOM;
}

/* Room under a limit that all share. When it is reached, only a client below its share finds some,
 * so the one that has filled it is refused first. */
static bool has_room(const struct scheduler *scheduler, const struct client *client, size_t count,
                     size_t max)
{
        if (count < max)
                return true;
        return client && client->unfinished + client->asking < share_of(scheduler, client, max) &&
               client->unfinished < scheduler->unfinished.count;
}

int scheduler_check_alive_locked(const struct scheduler *scheduler, const struct client *client)
{
        const struct scheduler_setup *setup = &scheduler->setup;

        if (scheduler->draining)
                return -ESHUTDOWN;
        if (scheduler->drained)
                return -EBUSY;
        if (!has_room(scheduler, client, scheduler->unfinished.count + scheduler->admissions,
                      scheduler->unfinished_max))
                return -ENOBUFS;
        if (setup->store && !store_healthy(setup->store))
                return -EIO;
        return setup->audit && !audit_healthy(setup->audit) ? -EROFS : 0;
}

int scheduler_check_room_locked(const struct scheduler *scheduler, const struct client *client)
{
        if (!has_room(scheduler, client, scheduler->queue.count + scheduler->admissions,
                      scheduler->queued_max))
                return -ENOBUFS;
        return scheduler_any_usable_locked(scheduler) ? 0 : -EHOSTUNREACH;
}

int scheduler_check(struct scheduler *scheduler, const struct client *client)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = scheduler_check_alive_locked(scheduler, client);
        if (r == 0)
                r = scheduler_check_room_locked(scheduler, client);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return r;
}

/* ---- the policy ---- */

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

/* ---- the end ---- */

/* Tells those who wait for jobs that are queued. */
static void nudge_waiting(struct scheduler *scheduler)
{
        struct unfinished_cursor cursor;
        struct job *job;

        (void)pthread_mutex_lock(&scheduler->mutex);
        unfinished_cursor_open(&scheduler->unfinished, &cursor);
        for (int i = 1; (job = unfinished_cursor_next(&cursor)); i++) {
                if (job->purchase->place == PURCHASE_WAITS)
                        results_nudge(scheduler->setup.results, job);
                if (i % NUDGE_BATCH == 0)
                        scheduler_let_others_in_locked(scheduler);
        }
        unfinished_cursor_close(&scheduler->unfinished, &cursor);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

bool scheduler_drain(struct scheduler *scheduler, struct loop *loop, struct mail *idle)
{
        struct store *store = scheduler->setup.store;

        (void)pthread_mutex_lock(&scheduler->mutex);
        assert(!scheduler->draining);
        scheduler->draining = true;
        scheduler_return_given_locked(scheduler);
        bool queue_stays = store && store_loss(store) < STORE_LOSES_BODIES;
        scheduler->queue_stays = queue_stays;
        scheduler->idle_loop = loop;
        scheduler->idle = idle;
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (queue_stays)
                nudge_waiting(scheduler);
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return queue_stays;
}

void scheduler_give_up(struct scheduler *scheduler)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        arbiter_give_up_locked(scheduler->setup.arbiter);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

bool scheduler_writes(struct scheduler *scheduler)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool writes = scheduler->records > 0;
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return writes;
}
