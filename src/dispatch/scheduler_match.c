/*
 * scheduler_match: which purchase goes to which account next.
 *
 * Accounts are tried in their order of preference, and each is given the purchase whose turn it is
 * among those that may go there. One that an account has turned away goes to another one that is
 * healthy, at once; to the same one only after its pause, and as the probe of its breaker only
 * while no other account is healthy.
 */
#include "dispatch/arbiter.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "upstream/account.h"

#include <stdlib.h>
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

/* ---- asking whose turn it is ---- */

/* Of each account one at a time. */
struct turn_question {
        struct arbiter_turn turn; /* first */
        struct candidate candidate;
        struct scheduler *scheduler;
        struct scheduler_taker *taker; /* who is told of a late answer; or NULL */
        enum { TURN_IDLE, TURN_ASKED, TURN_GIVEN } state;
        bool late;         /* the answer comes, or came, after arbiter_turn_locked() returned */
        struct job *found; /* valid once an answer came that was not late: what may go */
};

/* Finds what may go there of a client; with only, its delayed ones. */
static struct job *find_job(struct scheduler *scheduler, struct turn_question *question,
                            const struct queue_flow *flow)
{
        const struct queue_filter filter = {may_go, may_any_like, &question->candidate};

        return question->turn.only ? queue_first_delayed(&scheduler->queue,
                                                         question->candidate.now_ms, &filter, flow)
                                   : queue_first(flow, &filter);
}

static bool may_take_turn(struct arbiter_turn *turn, const struct queue_flow *flow)
{
        struct turn_question *question = (struct turn_question *)turn;

        question->found = find_job(question->scheduler, question, flow);
        return question->found;
}

void scheduler_return_turn_locked(struct scheduler *scheduler, struct queue_flow *flow)
{
        arbiter_turn_over_locked(scheduler->setup.arbiter, flow);
        arbiter_turn_unused_locked(scheduler->setup.arbiter, flow);
}

/* The answer is not used. */
static void drop_answer_locked(struct scheduler *scheduler, struct turn_question *question)
{
        scheduler->turns_given--;
        question->state = TURN_IDLE;
        if (question->turn.flow)
                scheduler_return_turn_locked(scheduler, question->turn.flow);
}

void scheduler_return_turns_locked(struct scheduler *scheduler)
{
        for (size_t i = 0; scheduler->turns_given > 0; i++) {
                struct turn_question *question = scheduler->questions[i];
                if (question && question->state == TURN_GIVEN)
                        drop_answer_locked(scheduler, question);
        }
}

static void on_turn_locked(struct arbiter_turn *turn)
{
        struct turn_question *question = (struct turn_question *)turn;
        struct scheduler *scheduler = question->scheduler;
        struct scheduler_taker *taker = question->taker;

        question->state = TURN_GIVEN;
        scheduler->turns_asked--;
        scheduler->turns_given++;
        if (!question->late)
                return;
        if (scheduler->draining) {
                drop_answer_locked(scheduler, question);
                scheduler_tell_idle_locked(scheduler);
        } else if (taker && !taker->posted) {
                taker->posted = true;
                loop_post(taker->loop, &taker->mail);
        }
}

/* Asks for the next turn, or for one of this job's client. */
static void ask_locked(struct scheduler *scheduler, struct turn_question *question,
                       struct job *only)
{
        question->turn.only = only ? only->flow : NULL;
        question->found = only;
        question->turn.flow = NULL;
        question->late = false;
        question->state = TURN_ASKED;
        scheduler->turns_asked++;
        arbiter_turn_locked(scheduler->setup.arbiter, &question->turn);
        question->late = question->state == TURN_ASKED;
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

static struct turn_question *question_of_locked(struct scheduler *scheduler,
                                                const struct account *account)
{
        struct turn_question **question = &scheduler->questions[account->index];

        if (!*question)
                *question = calloc(1, sizeof **question);
        if (*question) {
                (*question)->scheduler = scheduler;
                (*question)->turn.may_locked = may_take_turn;
                (*question)->turn.then_locked = on_turn_locked;
        }
        return *question;
}

/* ---- using the answer ---- */

/* Takes the purchase of the client whose turn it is. If it has none any more, the turn goes back.
 */
static bool take_purchase_locked(struct scheduler *scheduler, struct turn_question *question,
                                 struct account *account, struct scheduler_match *ret_match)
{
        struct queue_flow *flow = question->turn.flow;
        struct job *job = question->late ? find_job(scheduler, question, flow) : question->found;

        if (!job) {
                drop_answer_locked(scheduler, question);
                return false;
        }
        scheduler->turns_given--;
        question->state = TURN_IDLE;
        *ret_match = (struct scheduler_match){
                .account = account,
                .purchase = job->purchase,
                .flow = flow,
                .retry = is_retry(account, job->purchase),
        };
        queue_remove(&scheduler->queue, job->purchase);
        return true;
}

/*
 * Uses an answer. Where nobody has something for a probe that is ready, a delayed purchase will do.
 * What has failed as a probe is delayed: it would probe again and again, were it not the last.
 */
static bool use_answer_locked(struct scheduler *scheduler, struct turn_question *question,
                              struct account *account, struct scheduler_match *ret_match)
{
        const struct queue_filter filter = {may_go, may_any_like, &question->candidate};

        if (question->turn.flow)
                return take_purchase_locked(scheduler, question, account, ret_match);
        drop_answer_locked(scheduler, question);
        if (question->turn.only || !account->breaker.open)
                return false;
        struct job *job =
                queue_first_delayed(&scheduler->queue, question->candidate.now_ms, &filter, NULL);
        if (!job)
                return false;
        ask_locked(scheduler, question, job);
        if (question->state == TURN_ASKED || !question->turn.flow) {
                if (question->state == TURN_GIVEN)
                        drop_answer_locked(scheduler, question);
                return false;
        }
        return take_purchase_locked(scheduler, question, account, ret_match);
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

/* Asks for an account. Returns false if there is nothing for it now; *ret_more then says whether
 * another one may be given something. */
static bool try_account_locked(struct scheduler *scheduler, struct scheduler_taker *taker,
                               struct account *account, int64_t now_ms,
                               struct scheduler_match *ret_match, int64_t *again_ms, bool *ret_more)
{
        struct turn_question *question = question_of_locked(scheduler, account);

        *ret_more = false;
        if (!question) { /* no memory */
                *again_ms = now_ms + NO_BUDGET_PAUSE_MS;
                return false;
        }
        if (question->state == TURN_ASKED)
                return false; /* the answer tells */
        begin_candidate_locked(scheduler, &question->candidate, account, now_ms);
        if (!account->breaker.open)
                queue_end_delays(&scheduler->queue, now_ms);
        question->taker = taker;
        ask_locked(scheduler, question, NULL);
        if (question->state == TURN_ASKED)
                return false;
        if (use_answer_locked(scheduler, question, account, ret_match))
                return true;
        if (question->state == TURN_ASKED)
                return false;
        note_next(&scheduler->queue, &question->candidate, again_ms);
        *ret_more = question->candidate.passed; /* another account may be given it */
        return false;
}

/* Takes what was answered late, if that can still be used. */
static bool take_late_locked(struct scheduler *scheduler, int64_t now_ms,
                             struct scheduler_match *ret_match, int64_t *again_ms)
{
        const struct accounts *accounts = scheduler->setup.accounts;

        for (size_t i = 0; scheduler->turns_given > 0 && i < accounts_count(accounts); i++) {
                struct account *account = accounts->items[i];
                struct turn_question *question = scheduler->questions[i];
                if (!question || question->state != TURN_GIVEN)
                        continue;
                if (!scheduler_is_free_locked(account, now_ms, again_ms)) {
                        drop_answer_locked(scheduler, question);
                        continue;
                }
                begin_candidate_locked(scheduler, &question->candidate, account, now_ms);
                if (use_answer_locked(scheduler, question, account, ret_match))
                        return true;
        }
        return false;
}

bool scheduler_match_locked(struct scheduler *scheduler, struct scheduler_taker *taker,
                            int64_t now_ms, struct scheduler_match *ret_match,
                            int64_t *ret_again_ms)
{
        struct small_set tried = {0};
        bool more = true;

        *ret_again_ms = INT64_MAX;
        if (take_late_locked(scheduler, now_ms, ret_match, ret_again_ms))
                return true;
        while (more) {
                struct account *account =
                        scheduler_free_account_locked(scheduler, &tried, now_ms, ret_again_ms);
                if (!account)
                        return false;
                small_set_add(&tried, account->index);
                if (try_account_locked(scheduler, taker, account, now_ms, ret_match, ret_again_ms,
                                       &more))
                        return true;
        }
        return false;
}
