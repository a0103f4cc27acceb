/*
 * scheduler_match: which purchase goes to which account next.
 *
 * Accounts are tried in their order of preference, and each is given the purchase whose turn it is
 * among those that may go there. One that an account has turned away goes to another one that is
 * healthy, at once; to the same one only after its pause, and as the probe of its breaker only
 * while no other account is healthy.
 */
#include "dispatch/scheduler_private.h"

#include "upstream/account.h"

#include <utlist.h>

#define NO_BUDGET_PAUSE_MS 500 /* until it is looked at again whether there may be a retry */

_Static_assert(ACCOUNTS_EVER_MAX <= SMALL_SET_SIZE, "an account's index is in a small set");

/* What is asked of each purchase in the queue, for one account. */
struct candidate {
        const struct scheduler *scheduler;
        const struct account *account;
        int64_t now_ms;
        bool budget;     /* there may be a retry */
        bool other;      /* another account is healthy */
        bool passed;     /* some purchase may go, but not there, or not now */
        int64_t next_ms; /* when one of these may go there by the passing of time; or INT64_MAX */
};

bool scheduler_healthy_but_locked(const struct scheduler *scheduler, const struct small_set *but,
                                  int64_t now_ms)
{
        const struct accounts *accounts = scheduler->setup.accounts;

        for (size_t i = 0; i < accounts_count(accounts); i++) {
                const struct account *account = accounts->items[i];
                if (!account->retired && !small_set_has(but, i) &&
                    breaker_is_healthy(&account->breaker, now_ms))
                        return true;
        }
        return false;
}

/* Whether an account that has not turned it away could have it now. */
static bool has_untried(const struct candidate *candidate, const struct purchase *purchase)
{
        const struct accounts *accounts = candidate->scheduler->setup.accounts;

        for (size_t i = 0; i < accounts_count(accounts); i++) {
                const struct account *account = accounts->items[i];
                if (!account->retired && !small_set_has(&purchase->turned_away_by, i) &&
                    breaker_is_healthy(&account->breaker, candidate->now_ms) &&
                    scheduler_slots_free_locked(account))
                        return true;
        }
        return false;
}

/* Whether a turn there would be a retry, which costs budget: one at an account that has not turned
 * it away costs nothing, since it cannot add to that one's trouble; unless it may cost money. */
static bool is_retry(const struct account *account, const struct purchase *purchase)
{
        return purchase->retried &&
               (purchase->doubtful || small_set_has(&purchase->turned_away_by, account->index));
}

static bool pass(struct candidate *candidate, int64_t next_ms)
{
        candidate->passed = true;
        if (next_ms < candidate->next_ms)
                candidate->next_ms = next_ms;
        return false;
}

/* What is the same for all purchases with one history. A probe is not held to the budget. */
static bool may_any_like(void *arg, const struct purchase *purchase)
{
        struct candidate *candidate = arg;
        const struct account *account = candidate->account;
        bool again = small_set_has(&purchase->turned_away_by, account->index);

        if (account->breaker.open)
                return !again || !candidate->other || pass(candidate, INT64_MAX);
        if (again && has_untried(candidate, purchase))
                return pass(candidate, INT64_MAX);
        if (!candidate->budget && is_retry(account, purchase))
                return pass(candidate, candidate->now_ms + NO_BUDGET_PAUSE_MS);
        return true;
}

/* Nor is a probe held to the pause of a single job. */
static bool may_go(void *arg, const struct purchase *purchase)
{
        struct candidate *candidate = arg;
        const struct account *account = candidate->account;

        if (!account->breaker.open && purchase->retry_at_ms > candidate->now_ms &&
            small_set_has(&purchase->turned_away_by, account->index))
                return pass(candidate, purchase->retry_at_ms);
        return may_any_like(candidate, purchase);
}

/* Takes a purchase for one account. ret_match->purchase is NULL if there is none. */
static void pick_locked(struct scheduler *scheduler, struct candidate *candidate,
                        struct scheduler_match *ret_match)
{
        const struct queue_filter filter = {may_go, may_any_like, candidate};
        struct queue *queue = &scheduler->queue;
        int64_t now_ms = candidate->now_ms;

        ret_match->purchase = candidate->account->breaker.open
                                      ? queue_pop_probe(queue, now_ms, &filter, &ret_match->flow)
                                      : queue_pop(queue, now_ms, &filter, &ret_match->flow);
        if (ret_match->purchase)
                ret_match->retry = is_retry(candidate->account, ret_match->purchase);
}

/* What is left waits for its moment, for a retry, or for something that is told. */
static void note_next(const struct queue *queue, const struct candidate *candidate,
                      int64_t *again_ms)
{
        int64_t next_ms = queue_delayed_until(queue);

        /* It is due, and its client has all that it may have in flight. */
        if (next_ms <= candidate->now_ms)
                next_ms = candidate->now_ms + NO_BUDGET_PAUSE_MS;
        if (candidate->next_ms < next_ms)
                next_ms = candidate->next_ms;
        if (next_ms < *again_ms)
                *again_ms = next_ms;
}

bool scheduler_match_locked(struct scheduler *scheduler, int64_t now_ms,
                            struct scheduler_match *ret_match, int64_t *ret_again_ms)
{
        bool budget = budget_has(&scheduler->budget, now_ms);
        struct small_set tried = {0};
        bool more = true;

        *ret_again_ms = INT64_MAX;
        while (more) {
                struct account *account =
                        scheduler_free_account_locked(scheduler, &tried, now_ms, ret_again_ms);
                struct small_set itself = {0};
                if (!account)
                        return false;
                small_set_add(&itself, account->index);
                small_set_add(&tried, account->index);
                struct candidate candidate = {
                        .scheduler = scheduler,
                        .account = account,
                        .now_ms = now_ms,
                        .budget = budget,
                        .other = scheduler_healthy_but_locked(scheduler, &itself, now_ms),
                        .next_ms = INT64_MAX,
                };
                *ret_match = (struct scheduler_match){.account = account};
                pick_locked(scheduler, &candidate, ret_match);
                if (ret_match->purchase)
                        return true;
                note_next(&scheduler->queue, &candidate, ret_again_ms);
                more = candidate.passed; /* another account may be given it */
        }
        return false;
}
