/*
 * scheduler_match: which purchase goes to which account next.
 *
 * Accounts are tried in their order of preference, and each is given the purchase whose turn it is
 * among those that may go there. One that an account has turned away goes to another one that is
 * healthy, at once; to the same one only after its pause, and as the probe of its breaker only
 * while no other account is healthy.
 */
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"
#include "upstream/account.h"

#include <stdatomic.h>
#include <utlist.h>

#define NO_BUDGET_PAUSE_MS 500 /* until it is looked at again whether there may be a retry */

_Static_assert(ACCOUNTS_EVER_MAX <= SMALL_SET_SIZE, "an account's index is in a small set");

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

/* ---- asking whose turn it is ---- */

/* Finds what may go to the account of a client; a delayed one, where only that client is asked
 * for. */
static struct job *find_job(const struct turn_round *round, const struct queue_flow *flow)
{
        struct candidate candidate = round->candidate;
        const struct queue_filter filter = {may_go, may_any_like, &candidate};

        return round->turn.only ? queue_first_delayed(&round->scheduler->queue, candidate.now_ms,
                                                      &filter, flow)
                                : queue_first(flow, &filter);
}

static bool may_take_turn(struct arbiter_turn *turn, const struct queue_flow *flow)
{
        struct turn_round *round = (struct turn_round *)turn;
        const struct queue_filter filter = {may_go, may_any_like, &round->candidate};

        round->found = queue_first(flow, &filter);
        return round->found;
}

void scheduler_return_turn_locked(struct scheduler *scheduler, struct queue_flow *flow,
                                  const struct account *account)
{
        arbiter_turn_over_locked(scheduler->setup.arbiter, flow, account);
        arbiter_turn_unused_locked(scheduler->setup.arbiter, flow);
}

void scheduler_return_given_locked(struct scheduler *scheduler)
{
        struct turn_round *round = &scheduler->round;

        if (round->state != TURN_GIVEN)
                return;
        round->state = TURN_IDLE;
        if (round->turn.flow)
                scheduler_return_turn_locked(scheduler, round->turn.flow, round->account);
}

/* Who was sent away comes back, and takes what was given or asks anew: one of them may be kept from
 * taking. At the stop nobody does. */
static void tell_takers_locked(struct turn_round *round, bool stop)
{
        struct scheduler_taker *taker, *next;

        LL_FOREACH_SAFE (round->takers, taker, next) {
                taker->waits = false;
                if (!stop && !atomic_exchange(&taker->posted, true))
                        loop_post(taker->loop, &taker->mail);
        }
        round->takers = NULL;
}

static void on_turn_locked(struct arbiter_turn *turn)
{
        struct turn_round *round = (struct turn_round *)turn;
        struct scheduler *scheduler = round->scheduler;

        round->state = TURN_GIVEN;
        if (!round->late)
                return;
        if (scheduler->draining) {
                scheduler_return_given_locked(scheduler);
                scheduler_tell_idle_locked(scheduler);
        }
        tell_takers_locked(round, scheduler->draining);
}

/* Asks for the next turn, or for one of this job's client. */
static void ask_locked(struct scheduler *scheduler, struct turn_round *round, struct job *only)
{
        round->scheduler = scheduler;
        round->found = only;
        round->late = false;
        round->state = TURN_ASKED;
        round->turn = (struct arbiter_turn){
                .account = round->account,
                .only = only ? only->flow : NULL,
                .may_locked = may_take_turn,
                .then_locked = on_turn_locked,
        };
        arbiter_turn_locked(scheduler->setup.arbiter, &round->turn);
        round->late = round->state == TURN_ASKED;
}

static void begin_candidate_locked(struct scheduler *scheduler, struct candidate *candidate,
                                   const struct account *account, int64_t now_ms)
{
        struct small_set itself = {0};

        small_set_add(&itself, account->index);
        *candidate = (struct candidate){
                .scheduler = scheduler,
                .account = account,
                .now_ms = now_ms,
                .budget = budget_has(&scheduler->budget, now_ms),
                .other = scheduler_healthy_but_locked(scheduler, &itself, now_ms),
                .next_ms = INT64_MAX,
        };
}

/* ---- using the answer ---- */

/* Some time has passed since it was asked for the account. Returns whether that may still be sent
 * something. */
static bool look_again_locked(struct scheduler *scheduler, struct turn_round *round, int64_t now_ms)
{
        const struct candidate before = round->candidate;

        if (!scheduler_is_free_locked(round->account, now_ms, &round->next_ms))
                return false;
        begin_candidate_locked(scheduler, &round->candidate, round->account, now_ms);
        round->candidate.passed = before.passed;
        round->candidate.next_ms = before.next_ms;
        if (round->turn.flow)
                round->found = find_job(round, round->turn.flow);
        return true;
}

/* Takes the purchase whose turn was given. If there is none any more, the turn goes back, and
 * another client may have it. */
static bool take_given_locked(struct scheduler *scheduler, struct scheduler_match *ret_match)
{
        struct turn_round *round = &scheduler->round;
        const struct job *job = round->turn.flow ? round->found : NULL;

        if (!job) {
                round->again = round->again || round->turn.flow;
                scheduler_return_given_locked(scheduler);
                return false;
        }
        round->state = TURN_IDLE;
        *ret_match = (struct scheduler_match){
                .account = round->account,
                .purchase = job->purchase,
                .flow = round->turn.flow,
                .retry = is_retry(round->account, job->purchase),
        };
        queue_remove(&scheduler->queue, job->purchase);
        return true;
}

/*
 * Where nobody has something for a probe that is ready, a delayed purchase will do. What has failed
 * as a probe is delayed: it would probe again and again, were it not the last.
 */
static void ask_for_delayed_locked(struct scheduler *scheduler, struct turn_round *round)
{
        const struct queue_filter filter = {may_go, may_any_like, &round->candidate};

        if (round->turn.flow || round->turn.only || !round->account->breaker.open)
                return;
        struct job *job =
                queue_first_delayed(&scheduler->queue, round->candidate.now_ms, &filter, NULL);
        if (job)
                ask_locked(scheduler, round, job);
}

/* What is left waits for its moment, for a retry, or for something that is told. */
static void note_next(struct turn_round *round, const struct queue *queue)
{
        const struct candidate *candidate = &round->candidate;
        int64_t next_ms = queue_delayed_until(queue);

        /* It is due, and its client has all that it may have in flight. */
        if (next_ms <= candidate->now_ms)
                next_ms = candidate->now_ms + NO_BUDGET_PAUSE_MS;
        if (candidate->next_ms < next_ms)
                next_ms = candidate->next_ms;
        if (next_ms < round->next_ms)
                round->next_ms = next_ms;
}

/* Uses what was answered for an account. Returns false if that is nothing, or the next answer comes
 * later. */
static bool use_answer_locked(struct scheduler *scheduler, int64_t now_ms,
                              struct scheduler_match *ret_match)
{
        struct turn_round *round = &scheduler->round;
        bool usable = !round->late || look_again_locked(scheduler, round, now_ms);

        if (!usable)
                round->found = NULL;
        else
                ask_for_delayed_locked(scheduler, round);
        if (round->state == TURN_ASKED)
                return false;
        if (take_given_locked(scheduler, ret_match))
                return true;
        note_next(round, &scheduler->queue);
        return false;
}

/* Asks for the next account, likewise. *ret_more is set to false where there is none. */
static bool try_next_locked(struct scheduler *scheduler, int64_t now_ms,
                            struct scheduler_match *ret_match, bool *ret_more)
{
        struct turn_round *round = &scheduler->round;
        struct account *account =
                scheduler_free_account_locked(scheduler, &round->tried, now_ms, &round->next_ms);

        *ret_more = account != NULL;
        if (!account)
                return false;
        round->account = account;
        small_set_add(&round->tried, account->index);
        begin_candidate_locked(scheduler, &round->candidate, account, now_ms);
        if (!account->breaker.open)
                queue_end_delays(&scheduler->queue, now_ms);
        ask_locked(scheduler, round, NULL);
        return round->state == TURN_GIVEN && use_answer_locked(scheduler, now_ms, ret_match);
}

/* Goes on with a round, until something is found, an answer is awaited, or there is nothing for
 * any account. An account is asked for only if there is something that the ones before may not be
 * given. */
static bool go_on_locked(struct scheduler *scheduler, bool more, int64_t now_ms,
                         struct scheduler_match *ret_match)
{
        struct turn_round *round = &scheduler->round;

        while (more) {
                if (try_next_locked(scheduler, now_ms, ret_match, &more))
                        return true;
                if (round->state == TURN_ASKED)
                        return false;
                more = more && round->candidate.passed;
        }
        return false;
}

static void begin_round(struct turn_round *round)
{
        round->tried = (struct small_set){0};
        round->again = false;
        round->next_ms = INT64_MAX;
}

/* Goes on with the round under way, or with a new one. Returns false with TURN_IDLE if there is
 * nothing to be sent. */
static bool find_locked(struct scheduler *scheduler, int64_t now_ms,
                        struct scheduler_match *ret_match)
{
        struct turn_round *round = &scheduler->round;
        bool more = true;

        if (round->state == TURN_GIVEN) {
                if (use_answer_locked(scheduler, now_ms, ret_match))
                        return true;
                more = round->candidate.passed;
        } else {
                begin_round(round);
        }
        while (round->state == TURN_IDLE) {
                if (go_on_locked(scheduler, more, now_ms, ret_match))
                        return true;
                if (round->state == TURN_ASKED || !round->again || scheduler->queue.count == 0)
                        return false;
                begin_round(round);
                more = true;
        }
        return false;
}

bool scheduler_match_locked(struct scheduler *scheduler, struct scheduler_taker *taker,
                            int64_t now_ms, struct scheduler_match *ret_match,
                            int64_t *ret_again_ms)
{
        struct turn_round *round = &scheduler->round;

        *ret_again_ms = INT64_MAX;
        /* Whoever comes for another reason than an answer may have brought something that this
         * answer does not know of. */
        if (round->state != TURN_IDLE && !(taker && taker->told))
                round->again = true;
        if (round->state != TURN_ASKED && find_locked(scheduler, now_ms, ret_match))
                return true;
        if (round->state == TURN_IDLE) {
                *ret_again_ms = round->next_ms;
        } else if (taker && !taker->waits) { /* the answer tells */
                taker->waits = true;
                LL_PREPEND(round->takers, taker);
        }
        return false;
}
