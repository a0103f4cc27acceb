/*
 * scheduler_turns: purchases that are sent: each takes a slot of an account, and goes back to the
 * queue or is over; see scheduler.h.
 */
#include "dispatch/scheduler.h"

#include "audit/audit.h"
#include "base/clock.h"
#include "config/config.h"
#include "dispatch/arbiter.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/body.h"
#include "job/job.h"
#include "job/purchase.h"
#include "store/store.h"
#include "upstream/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SICK_STORE_PAUSE_MS 250 /* until it is looked at again whether the store is well */
#define OVERDUE_PAUSE_MS    200 /* a tick, which ends overdue jobs */
#define SET_ASIDE_BATCH     512 /* overdue purchases, while the mutex is held */

/*
 * What a turn costs; a probe is free. The last try is for an account that had one before: where
 * more accounts fail than there are tries, one that works gets the job all the same.
 */
static void count_turn_locked(struct scheduler *scheduler, struct scheduler_turn *turn,
                              int64_t now_ms)
{
        struct purchase *purchase = turn->purchase;

        turn->retried = purchase->retried;
        purchase->retried = false;
        if (turn->probe)
                return;
        turn->counted = turn->retry || !turn->retried ||
                        purchase->attempts + 1 < scheduler->config->retry.attempts;
        purchase->attempts += turn->counted;
        if (turn->retry)
                (void)budget_spend(&scheduler->budget, now_ms);
        else if (!turn->retried)
                budget_earn(&scheduler->budget);
}

/* It was not sent after all. */
static void uncount_turn_locked(struct scheduler *scheduler, const struct scheduler_turn *turn)
{
        turn->purchase->retried = turn->retried;
        if (turn->probe)
                return;
        turn->purchase->attempts -= turn->counted;
        if (turn->retry || !turn->retried)
                budget_take_back(&scheduler->budget, turn->retry);
}

void scheduler_unuse(struct scheduler *scheduler, const struct scheduler_turn *turn)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        uncount_turn_locked(scheduler, turn);
        arbiter_turn_unused_locked(scheduler->setup.arbiter, turn->flow);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

static void occupy_locked(struct scheduler *scheduler, struct scheduler_turn *turn)
{
        turn->slots = scheduler_slots_take_locked(turn->account);
        scheduler->flying++;
        turn->purchase->account = turn->account->name;
        entry_place_locked(scheduler, turn->purchase, PURCHASE_FLIES);
}

/* Whether what is sent can be written down; else nothing is sent. */
static bool can_write(const struct scheduler_setup *setup)
{
        return (!setup->store || store_healthy(setup->store)) &&
               (!setup->audit || audit_healthy(setup->audit));
}

/* What does not change until the flight is over, and what may. */
static void describe_turn_locked(const struct scheduler *scheduler, struct scheduler_turn *turn)
{
        turn->payer = job_ref(turn->purchase->payer);
        turn->attempts = turn->purchase->attempts;
        scheduler_look_locked(scheduler, turn);
}

static void begin_turn_locked(struct scheduler *scheduler, const struct scheduler_match *match,
                              int64_t now_ms, struct scheduler_turn *ret_turn)
{
        struct purchase *purchase = match->purchase;
        struct account *account = match->account;

        *ret_turn = (struct scheduler_turn){
                .purchase = purchase,
                .account = account,
                .terms = account_terms_ref(account->terms),
                .health = account->health,
                .flow = match->flow,
                .probe = breaker_begin(&account->breaker),
                .retry = match->retry,
        };
        payment_fix_locked(purchase, purchase->jobs);
        count_turn_locked(scheduler, ret_turn, now_ms);
        occupy_locked(scheduler, ret_turn);
        describe_turn_locked(scheduler, ret_turn);
        purchase->state = JOB_SENDING;
        entry_move_locked(scheduler, purchase, JOB_SENDING);
}

/* It is overdue: its jobs are ended by the next ticks, and nobody may join it. */
static void set_aside_locked(struct scheduler *scheduler, const struct scheduler_match *match)
{
        scheduler_return_turn_locked(scheduler, match->flow, match->account);
        queue_set_aside(&scheduler->queue, match->purchase);
        entry_unlist_locked(scheduler, match->purchase);
}

/* Who is to pay is overdue, and others of its jobs are not: the next ticks end it, and pass the
 * payment on. Until then nothing finds the purchase again, not even a probe. */
static void put_off_locked(struct scheduler *scheduler, const struct scheduler_match *match,
                           int64_t now_ms)
{
        scheduler_return_turn_locked(scheduler, match->flow, match->account);
        queue_put_off(&scheduler->queue, match->purchase, now_ms + OVERDUE_PAUSE_MS);
}

/* Finds what may be sent now. Sets aside so many at once, and then comes back soon. */
static bool find_turn_locked(struct scheduler *scheduler, struct scheduler_taker *taker,
                             int64_t now_ms, struct scheduler_match *ret_match,
                             int64_t *ret_again_ms)
{
        for (int i = 0; i < SET_ASIDE_BATCH; i++) {
                if (!scheduler_match_locked(scheduler, taker, now_ms, ret_match, ret_again_ms))
                        return false;
                if (ret_match->purchase->jobs->deadline_ms > now_ms)
                        return true;
                if (ret_match->purchase->deadline_ms > now_ms)
                        put_off_locked(scheduler, ret_match, now_ms);
                else
                        set_aside_locked(scheduler, ret_match);
        }
        *ret_again_ms = now_ms;
        return false;
}

bool scheduler_take(struct scheduler *scheduler, struct scheduler_taker *taker,
                    struct scheduler_turn *ret_turn, int64_t *ret_again_ms)
{
        int64_t now_ms = clock_monotonic_ms();
        struct scheduler_match match;
        bool found = false;

        *ret_again_ms = INT64_MAX;
        (void)pthread_mutex_lock(&scheduler->mutex);
        if (!can_write(&scheduler->setup))
                *ret_again_ms = now_ms + SICK_STORE_PAUSE_MS;
        else if (!scheduler->draining &&
                 (scheduler->queue.count > 0 || scheduler->round.state == TURN_GIVEN))
                found = find_turn_locked(scheduler, taker, now_ms, &match, ret_again_ms);
        if (found)
                begin_turn_locked(scheduler, &match, now_ms, ret_turn);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return found;
}

/* Their slots are taken already, even if there are fewer now than before the start. */
bool scheduler_take_accepted(struct scheduler *scheduler, struct scheduler_turn *ret_turn)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        struct purchase *purchase = scheduler->draining ? NULL : scheduler->accepted;
        if (purchase) {
                struct account *account =
                        accounts_find(scheduler->setup.accounts, purchase->upstream);
                assert(account);
                DL_DELETE2(scheduler->accepted, purchase, queue_prev, queue_next);
                if (!purchase->payer)
                        payment_fix_locked(purchase, purchase->jobs);
                *ret_turn = (struct scheduler_turn){
                        .purchase = purchase,
                        .account = account,
                        .terms = account_terms_ref(account->terms),
                        .health = account->health,
                        .flow = purchase->jobs->flow,
                };
                occupy_locked(scheduler, ret_turn);
                describe_turn_locked(scheduler, ret_turn);
                arbiter_turn_resumed_locked(scheduler->setup.arbiter, ret_turn->flow, account);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return purchase != NULL;
}

void scheduler_release(struct scheduler *scheduler, const struct scheduler_turn *turn)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler_slots_release_locked(scheduler, turn->account, turn->slots);
        arbiter_turn_over_locked(scheduler->setup.arbiter, turn->flow, turn->account);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        account_terms_unref(turn->terms);
        job_unref(turn->payer);
}

bool scheduler_reserve_again(struct scheduler *scheduler, struct purchase *purchase)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        bool reserved = payment_reserve_again_locked(scheduler->setup.arbiter, purchase);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return reserved;
}

static void land_locked(struct scheduler *scheduler)
{
        assert(scheduler->flying > 0);
        scheduler->flying--;
        scheduler_tell_idle_locked(scheduler);
}

void scheduler_land(struct scheduler *scheduler, struct purchase *purchase)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        /* If it is left for the next start, those who wait wait in vain. */
        entry_nudge_locked(scheduler, purchase);
        payment_fix_locked(purchase, NULL);
        payment_release_locked(scheduler->setup.arbiter, purchase);
        scheduler_release_id_locked(scheduler, purchase);
        entry_unlist_locked(scheduler, purchase);
        land_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        purchase_unref(purchase);
}

static void count_try_locked(struct scheduler *scheduler, const struct scheduler_turn *turn,
                             enum scheduler_try tried)
{
        struct purchase *purchase = turn->purchase;

        /* What a reload has replaced says nothing about what is there now. */
        if (tried != SCHEDULER_NOT_TRIED && !scheduler_is_outdated_locked(turn))
                small_set_add(&purchase->turned_away_by, turn->account->index);
        switch (tried) {
        case SCHEDULER_NOT_TRIED:
        case SCHEDULER_REFUSED:
                uncount_turn_locked(scheduler, turn);
                arbiter_turn_unused_locked(scheduler->setup.arbiter, turn->flow);
                return;
        case SCHEDULER_TURNED_AWAY:
                break;
        case SCHEDULER_IN_DOUBT:
                purchase->attempts += turn->probe; /* what may cost money counts */
                purchase->doubtful = true;
                break;
        }
        purchase->retried = true;
}

/* How long it waits before it is sent to the same account: a probe that failed lets others probe;
 * an open breaker is pause enough. */
static int64_t pause_before_retry(const struct scheduler *scheduler,
                                  const struct scheduler_turn *turn, int64_t pause_ms)
{
        if (turn->probe)
                return scheduler->config->retry.probe_ms;
        return turn->account->breaker.open ? 0 : pause_ms;
}

/* Where it waits. Another account that is healthy may have it at once. */
static void queue_again_locked(struct scheduler *scheduler, const struct scheduler_turn *turn,
                               enum scheduler_try tried, int64_t pause_ms)
{
        struct purchase *purchase = turn->purchase;
        int64_t now_ms = clock_monotonic_ms();
        bool moves = false;

        if (tried == SCHEDULER_TURNED_AWAY || tried == SCHEDULER_IN_DOUBT)
                pause_ms = pause_before_retry(scheduler, turn, pause_ms);
        if (tried != SCHEDULER_NOT_TRIED) {
                purchase->retry_at_ms = now_ms + pause_ms;
                moves = scheduler_healthy_but_locked(scheduler, &purchase->turned_away_by, now_ms);
        }
        if (pause_ms > 0 && !moves)
                queue_delay(&scheduler->queue, purchase, now_ms + pause_ms);
        else
                queue_add(&scheduler->queue, purchase);
}

/* It is read back when its turn comes. */
static void forget_stored_body(struct purchase *purchase)
{
        if (!purchase->body_stored)
                return;
        body_unref(purchase->body);
        purchase->body = NULL;
}

bool scheduler_requeue(struct scheduler *scheduler, struct loop *loop,
                       const struct scheduler_turn *turn, enum scheduler_try tried,
                       int64_t pause_ms)
{
        struct purchase *purchase = turn->purchase;

        (void)pthread_mutex_lock(&scheduler->mutex);
        assert(purchase->state == JOB_QUEUED);
        bool payer_left = purchase->payer && !purchase->payer->attached;
        payment_fix_locked(purchase, NULL);
        bool taken = !scheduler->draining || scheduler->queue_stays;
        if (!purchase->jobs) {
                (void)purchase_ref(purchase);
                entry_drop_locked(scheduler, purchase);
                entry_write_drop_locked(scheduler, purchase, NULL);
                purchase_unref(purchase);
        } else {
                entry_place_locked(scheduler, purchase, PURCHASE_WAITS);
                count_try_locked(scheduler, turn, tried);
                queue_again_locked(scheduler, turn, tried, pause_ms);
                forget_stored_body(purchase);
                if (scheduler->draining)
                        entry_nudge_locked(scheduler, purchase);
                entry_settle_returned_locked(scheduler, loop, purchase, payer_left);
        }
        land_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return taken;
}

bool scheduler_wants(struct scheduler *scheduler, struct scheduler_turn *turn)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler_look_locked(scheduler, turn);
        bool wants = turn->purchase->payer->attached && !scheduler->draining &&
                     !scheduler_is_outdated_locked(turn) &&
                     entry_wanted_locked(scheduler, turn->purchase->payer);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return wants;
}

void scheduler_set_trouble(struct scheduler *scheduler, struct purchase *purchase,
                           const char *trouble)
{
        char *copy = strdup(trouble); /* without memory the client is told less */

        (void)pthread_mutex_lock(&scheduler->mutex);
        free(purchase->trouble);
        purchase->trouble = copy;
        purchase->trouble_account = purchase->account;
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void scheduler_set_body(struct scheduler *scheduler, struct purchase *purchase, struct body *body)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        assert(!purchase->body);
        purchase->body = body;
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
