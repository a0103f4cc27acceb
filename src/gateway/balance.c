/*
 * balance: see balance.h.
 */
#include "gateway/balance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "dispatch/job_log.h"
#include "dispatch/scheduler.h"
#include "forward/forward.h"
#include "upstream/account.h"
#include "upstream/allowance.h"
#include "upstream/exchange.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct balance {
        struct account *account;
        struct scheduler *scheduler;
        pthread_mutex_t mutex;
        char *members; /* guarded by mutex: of the last good answer; NULL before it */
        size_t members_len;
        bool tells_left;      /* guarded by mutex: it says how much is left */
        double left;          /* guarded by mutex; valid with tells_left */
        int64_t members_ms;   /* guarded by mutex: when it came (monotonic) */
        int64_t tools_ms;     /* guarded by mutex: not asked for tools before this moment */
        int64_t operators_ms; /* guarded by mutex: nor for operators before this one */
        bool closed;          /* guarded by mutex */
        bool forgotten;       /* guarded by mutex: by a reload, and not asked since */
        unsigned health;      /* guarded by mutex: the account's, when it was last asked */
        bool outdated; /* guarded by mutex: what is asked now is about an account that a reload has
                          changed */
        struct transfers *asking;  /* guarded by mutex: who asks now, or NULL */
        struct exchange *exchange; /* belongs to the loop of asking */
        struct waiter *waiters;    /* guarded by mutex */
        bool failing;      /* guarded by mutex: it has not answered when it was last asked */
        bool refused;      /* guarded by mutex; valid with failing: the account was refused */
        int64_t failed_ms; /* guarded by mutex; valid with failing: when (monotonic) */
        char problem[UPSTREAM_MESSAGE_BYTES_MAX + 1]; /* guarded by mutex: of the last failure */
};

struct balances {
        const struct accounts *accounts;
        struct scheduler *scheduler;
        bool begun;                               /* what is forgotten from now on is to be asked */
        struct balance *items[ACCOUNTS_EVER_MAX]; /* one for each account, in order */
};

int balances_new(const struct accounts *accounts, struct scheduler *scheduler,
                 struct balances **ret_balances)
{
        struct balances *balances = calloc(1, sizeof *balances);

        if (!balances)
                return -ENOMEM;
        balances->accounts = accounts;
        balances->scheduler = scheduler;
        *ret_balances = balances;
        return 0;
}

static void balance_free(struct balance *balance)
{
        (void)pthread_mutex_destroy(&balance->mutex);
        free(balance->members);
        free(balance);
}

void balances_free(struct balances *balances)
{
        if (!balances)
                return;
        for (size_t i = 0; i < ACCOUNTS_EVER_MAX && balances->items[i]; i++)
                balance_free(balances->items[i]);
        free(balances);
}

static void forget_locked(struct balance *balance)
{
        free(balance->members);
        balance->members = NULL;
        balance->tells_left = false;
        balance->tools_ms = 0;
        balance->operators_ms = 0;
        balance->failing = false;
        (void)snprintf(balance->problem, sizeof balance->problem,
                       "it has not answered yet; ask again");
}

int balances_add(struct balances *balances, struct account *account)
{
        struct balance *balance = calloc(1, sizeof *balance);

        if (!balance)
                return -ENOMEM;
        balance->account = account;
        balance->scheduler = balances->scheduler;
        (void)pthread_mutex_init(&balance->mutex, NULL);
        forget_locked(balance);
        balances->items[accounts_count(balances->accounts)] = balance;
        return 0;
}

void balances_begin(struct balances *balances)
{
        balances->begun = true;
}

void balances_forget(struct balances *balances, const struct account *account)
{
        for (size_t i = 0; i < accounts_count(balances->accounts); i++) {
                struct balance *balance = balances->items[i];
                if (balance->account != account)
                        continue;
                (void)pthread_mutex_lock(&balance->mutex);
                if (balance->health != account->health) {
                        forget_locked(balance);
                        balance->forgotten = balances->begun;
                        balance->outdated = balance->asking != NULL;
                }
                (void)pthread_mutex_unlock(&balance->mutex);
        }
}

struct balance *balances_first(struct balances *balances)
{
        return balances->items[scheduler_first_account(balances->scheduler)];
}

static void ask(struct balance *balance, struct transfers *transfers);

/* Where a reload has changed the account meanwhile, the answer is about another one. */
static bool begin_again_locked(struct balance *balance)
{
        bool again = balance->outdated && !balance->closed;

        balance->outdated = false;
        return again;
}

static void succeed_locked(struct balance *balance, struct answer *answer, int64_t now_ms)
{
        free(balance->members);
        balance->members = answer->members;
        balance->members_len = answer->members_len;
        answer->members = NULL;
        balance->tells_left =
                allowance_left(balance->members, balance->members_len, &balance->left);
        balance->members_ms = now_ms;
        balance->failing = false;
        balance->tools_ms = now_ms + BALANCE_FRESH_MS;
        balance->operators_ms = now_ms + BALANCE_AGAIN_MS;
}

/* answer: NULL at the stop. */
static void fail_locked(struct balance *balance, const struct answer *answer, int64_t now_ms)
{
        (void)snprintf(balance->problem, sizeof balance->problem, "%s",
                       answer ? answer->message : "solvegate is being stopped");
        balance->failing = answer != NULL;
        balance->refused = answer && answer->about_account;
        balance->failed_ms = now_ms;
        balance->tools_ms = now_ms + BALANCE_AGAIN_MS;
        balance->operators_ms = now_ms + BALANCE_FAILED_AGAIN_MS;
}

/* answer: NULL at the stop. */
static void settle_locked(struct balance *balance, struct answer *answer)
{
        int64_t now_ms = clock_monotonic_ms();

        balance->asking = NULL;
        balance->exchange = NULL;
        if (answer && answer->kind == ANSWER_FINAL)
                succeed_locked(balance, answer, now_ms);
        else
                fail_locked(balance, answer, now_ms);
        waiters_wake_locked(&balance->waiters, WAITER_FINAL);
}

/* The asking is over, unless it has to be done once more: who waits goes on waiting then. The
 * members of a good answer are taken over. */
static void settle(struct balance *balance, struct answer *answer)
{
        (void)pthread_mutex_lock(&balance->mutex);
        struct transfers *transfers = balance->asking;
        bool again = begin_again_locked(balance);
        if (!again)
                settle_locked(balance, answer);
        (void)pthread_mutex_unlock(&balance->mutex);
        if (again)
                ask(balance, transfers);
}

static void on_balance_answer(struct answer *answer, void *arg)
{
        struct balance *balance = arg;

        if (answer->stray)
                job_log_stray(balance->account->name);
        if (answer->loops)
                log_error("balance of upstream %s: %s", balance->account->name, answer->message);
        else if (answer->kind != ANSWER_FINAL || answer->warn)
                log_warning("balance of upstream %s: %s", balance->account->name,
                            answer->detail[0] ? answer->detail : answer->message);
        settle(balance, answer);
        answer_done(answer);
}

/* Requires that balance->asking was set to transfers by the caller. */
static void ask(struct balance *balance, struct transfers *transfers)
{
        unsigned health;
        struct account_terms *terms =
                scheduler_account_terms(balance->scheduler, balance->account, &health);
        struct question question = {
                .account = balance->account,
                .terms = terms,
                .endpoint = UPSTREAM_BALANCE,
                .timeout_ms = BALANCE_TIMEOUT_MS,
        };
        struct answer no_memory = {.kind = ANSWER_NOT_SENT, .message = "no memory to ask"};
        struct answer retired = {.kind = ANSWER_NOT_SENT,
                                 .message = "it was taken out of the configuration"};

        (void)pthread_mutex_lock(&balance->mutex);
        balance->health = health;
        (void)pthread_mutex_unlock(&balance->mutex);
        if (!terms)
                settle(balance, &retired);
        else if (exchange_start(transfers, &question, on_balance_answer, balance,
                                &balance->exchange) < 0)
                settle(balance, &no_memory);
        account_terms_unref(terms);
}

/* Whether it is being asked, or is to be. */
static bool is_due_locked(const struct balance *balance, enum balance_asker asker)
{
        if (balance->asking)
                return true;
        if (balance->closed)
                return false;
        switch (asker) {
        case BALANCE_FOR_TOOLS:
                return balance->tools_ms <= clock_monotonic_ms();
        case BALANCE_FOR_OPERATORS:
                return balance->operators_ms <= clock_monotonic_ms();
        case BALANCE_BY_THE_CLOCK:
                break;
        }
        return true;
}

/* Asks if it is due; arms the waiter, unless it is NULL, until there is an answer. */
static bool begin(struct balance *balance, struct transfers *transfers, struct waiter *waiter,
                  enum balance_asker asker)
{
        bool due, first;

        (void)pthread_mutex_lock(&balance->mutex);
        due = is_due_locked(balance, asker);
        first = due && !balance->asking;
        if (due && waiter)
                waiters_add_locked(&balance->waiters, waiter);
        if (first)
                balance->asking = transfers;
        (void)pthread_mutex_unlock(&balance->mutex);
        if (first)
                ask(balance, transfers);
        return due;
}

bool balance_wait(struct balance *balance, struct forwarder *forwarder, struct waiter *waiter)
{
        return begin(balance, forwarder_transfers(forwarder), waiter, BALANCE_FOR_TOOLS);
}

void balances_refresh(struct balances *balances, struct forwarder *forwarder,
                      enum balance_asker asker)
{
        for (size_t i = 0; i < accounts_count(balances->accounts); i++)
                (void)begin(balances->items[i], forwarder_transfers(forwarder), NULL, asker);
}

static bool take_forgotten(struct balance *balance)
{
        (void)pthread_mutex_lock(&balance->mutex);
        bool forgotten = balance->forgotten;
        balance->forgotten = false;
        (void)pthread_mutex_unlock(&balance->mutex);
        return forgotten;
}

void balances_ask_forgotten(struct balances *balances, struct forwarder *forwarder)
{
        for (size_t i = 0; i < accounts_count(balances->accounts); i++) {
                if (take_forgotten(balances->items[i]))
                        (void)begin(balances->items[i], forwarder_transfers(forwarder), NULL,
                                    BALANCE_FOR_TOOLS);
        }
}

bool balance_unwait(struct balance *balance, struct waiter *waiter)
{
        (void)pthread_mutex_lock(&balance->mutex);
        bool removed = waiters_remove_locked(&balance->waiters, waiter);
        (void)pthread_mutex_unlock(&balance->mutex);
        return removed;
}

int balance_read(struct balance *balance, struct strbuf *ret_text, int64_t *ret_age_ms)
{
        int r = 0;

        (void)pthread_mutex_lock(&balance->mutex);
        if (balance->members) {
                (void)strbuf_append(ret_text, balance->members, balance->members_len);
                *ret_age_ms = clock_monotonic_ms() - balance->members_ms;
        } else {
                (void)strbuf_puts(ret_text, balance->problem);
                r = -ENODATA;
        }
        (void)pthread_mutex_unlock(&balance->mutex);
        return r;
}

/* NULL: there are not so many accounts that are not gone. */
static struct balance *find_shown(struct balances *balances, size_t index)
{
        for (size_t i = 0; i < accounts_count(balances->accounts); i++) {
                if (!balances->accounts->items[i]->gone && index-- == 0)
                        return balances->items[i];
        }
        return NULL;
}

struct balance *balances_await(struct balances *balances, struct waiter *waiter)
{
        struct balance *balance;

        for (size_t i = 0; (balance = find_shown(balances, i)); i++) {
                (void)pthread_mutex_lock(&balance->mutex);
                bool due = is_due_locked(balance, BALANCE_FOR_OPERATORS);
                if (due)
                        waiters_add_locked(&balance->waiters, waiter);
                (void)pthread_mutex_unlock(&balance->mutex);
                if (due)
                        return balance;
        }
        return NULL;
}

bool balances_figures(struct balances *balances, size_t index, struct balance_figures *ret_figures,
                      struct strbuf *ret_text)
{
        struct balance *balance = find_shown(balances, index);

        if (!balance)
                return false;
        (void)pthread_mutex_lock(&balance->mutex);
        int64_t now_ms = clock_monotonic_ms();
        bool failing = balance->failing && !balance->account->retired;
        *ret_figures = (struct balance_figures){
                .upstream = balance->account->name,
                .known = balance->members != NULL,
                .tells_left = balance->tells_left,
                .left = balance->left,
                .failing = failing,
                .refused = failing && balance->refused,
        };
        if (balance->members)
                ret_figures->age_ms = now_ms - balance->members_ms;
        if (failing) {
                ret_figures->failure_age_ms = now_ms - balance->failed_ms;
                memcpy(ret_figures->failure, balance->problem, sizeof balance->problem);
        }
        if (ret_text && balance->members)
                (void)strbuf_append(ret_text, balance->members, balance->members_len);
        else if (ret_text)
                (void)strbuf_puts(ret_text, balance->problem);
        (void)pthread_mutex_unlock(&balance->mutex);
        return true;
}

static void balance_close(struct balance *balance, struct transfers *transfers)
{
        (void)pthread_mutex_lock(&balance->mutex);
        balance->closed = true;
        bool mine = balance->asking == transfers;
        (void)pthread_mutex_unlock(&balance->mutex);
        if (!mine)
                return;
        (void)exchange_cancel(balance->exchange);
        settle(balance, NULL);
}

void balances_close(struct balances *balances, struct forwarder *forwarder)
{
        for (size_t i = 0; i < accounts_count(balances->accounts); i++)
                balance_close(balances->items[i], forwarder_transfers(forwarder));
}
