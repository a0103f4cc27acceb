/*
 * balance: see balance.h.
 */
#include "engine/balance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "upstream/account.h"
#include "upstream/exchange.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct balance {
        const struct account *account;
        pthread_mutex_t mutex;
        char *members; /* guarded by mutex: of the last good answer; NULL before it */
        size_t members_len;
        int64_t members_ms;        /* guarded by mutex: when it came (monotonic) */
        int64_t again_ms;          /* guarded by mutex: not asked before this moment */
        bool closed;               /* guarded by mutex */
        struct transfers *asking;  /* guarded by mutex: who asks now, or NULL */
        struct exchange *exchange; /* belongs to the loop of asking */
        struct waiter *waiters;    /* guarded by mutex */
        char problem[UPSTREAM_MESSAGE_BYTES_MAX + 1]; /* guarded by mutex: of the last failure */
};

struct balances {
        struct balance *items; /* one for each account, in order */
        size_t count;
};

int balances_new(const struct account *accounts, size_t count, struct balances **ret_balances)
{
        struct balances *balances = calloc(1, sizeof *balances);

        if (!balances)
                return -ENOMEM;
        balances->items = calloc(count, sizeof *balances->items);
        if (!balances->items) {
                free(balances);
                return -ENOMEM;
        }
        balances->count = count;
        for (size_t i = 0; i < count; i++) {
                struct balance *balance = &balances->items[i];
                balance->account = &accounts[i];
                (void)snprintf(balance->problem, sizeof balance->problem,
                               "it has not answered yet; ask again");
                (void)pthread_mutex_init(&balance->mutex, NULL);
        }
        *ret_balances = balances;
        return 0;
}

void balances_free(struct balances *balances)
{
        if (!balances)
                return;
        for (size_t i = 0; i < balances->count; i++) {
                (void)pthread_mutex_destroy(&balances->items[i].mutex);
                free(balances->items[i].members);
        }
        free(balances->items);
        free(balances);
}

struct balance *balances_first(struct balances *balances)
{
        struct balance *first = &balances->items[0];

        for (size_t i = 1; i < balances->count; i++) {
                if (balances->items[i].account->config->priority < first->account->config->priority)
                        first = &balances->items[i];
        }
        return first;
}

/* The asking is over: good says whether members is a new answer, which is taken over. */
static void settle(struct balance *balance, struct answer *answer)
{
        int64_t now_ms = clock_monotonic_ms();

        (void)pthread_mutex_lock(&balance->mutex);
        balance->asking = NULL;
        balance->exchange = NULL;
        if (answer && answer->kind == ANSWER_FINAL) {
                free(balance->members);
                balance->members = answer->members;
                balance->members_len = answer->members_len;
                answer->members = NULL;
                balance->members_ms = now_ms;
                balance->again_ms = now_ms + BALANCE_FRESH_MS;
        } else {
                (void)snprintf(balance->problem, sizeof balance->problem, "%s",
                               answer ? answer->message : "solvegate is being stopped");
                balance->again_ms = now_ms + BALANCE_AGAIN_MS;
        }
        waiters_wake_locked(&balance->waiters, WAITER_FINAL);
        (void)pthread_mutex_unlock(&balance->mutex);
}

static void on_balance_answer(struct answer *answer, void *arg)
{
        struct balance *balance = arg;

        if (answer->kind != ANSWER_FINAL)
                log_warning("balance of upstream %s: %s", balance->account->config->name,
                            answer->detail[0] ? answer->detail : answer->message);
        settle(balance, answer);
        answer_done(answer);
}

/* Requires that balance->asking was set to transfers by the caller. */
static void ask(struct balance *balance, struct transfers *transfers)
{
        struct question question = {
                .account = balance->account,
                .endpoint = UPSTREAM_BALANCE,
                .timeout_ms = BALANCE_TIMEOUT_MS,
        };
        struct answer no_memory = {.kind = ANSWER_NOT_SENT, .message = "no memory to ask"};

        if (exchange_start(transfers, &question, on_balance_answer, balance, &balance->exchange) <
            0)
                settle(balance, &no_memory);
}

/* For a waiter it asks if the last answer is old, and arms him until there is one; without, always.
 */
static bool begin(struct balance *balance, struct transfers *transfers, struct waiter *waiter)
{
        bool old, first;

        (void)pthread_mutex_lock(&balance->mutex);
        old = balance->asking ||
              (!balance->closed && (!waiter || balance->again_ms <= clock_monotonic_ms()));
        first = old && !balance->asking;
        if (old && waiter)
                waiters_add_locked(&balance->waiters, waiter);
        if (first)
                balance->asking = transfers;
        (void)pthread_mutex_unlock(&balance->mutex);
        if (first)
                ask(balance, transfers);
        return old;
}

bool balance_wait(struct balance *balance, struct transfers *transfers, struct waiter *waiter)
{
        return begin(balance, transfers, waiter);
}

void balances_refresh(struct balances *balances, struct transfers *transfers)
{
        for (size_t i = 0; i < balances->count; i++)
                (void)begin(&balances->items[i], transfers, NULL);
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

void balances_close(struct balances *balances, struct transfers *transfers)
{
        for (size_t i = 0; i < balances->count; i++)
                balance_close(&balances->items[i], transfers);
}
