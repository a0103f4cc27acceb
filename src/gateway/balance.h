/*
 * balance: an upstream's last answer about its account, fetched at the start, each poll.balance,
 * and when somebody asks and the last one has become old, by one request however many ask.
 *
 * There is one for each account, for the life of the process. Each has its own mutex, a leaf but
 * for the mailboxes.
 */
#ifndef SOLVEGATE_GATEWAY_BALANCE_H
#define SOLVEGATE_GATEWAY_BALANCE_H

#include "job/waiter.h"
#include "upstream/account.h"
#include "upstream/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALANCES_MAX            ACCOUNTS_EVER_MAX
#define BALANCE_FRESH_MS        60000 /* tools are given an answer younger than this */
#define BALANCE_AGAIN_MS        5000  /* so are operators; and tools are given a failure as long */
#define BALANCE_FAILED_AGAIN_MS 1000  /* operators are given a failure so long: they mend it */
#define BALANCE_TIMEOUT_MS      10000 /* for one request */

/* Who wants to know, which decides how old an answer may be. */
enum balance_asker {
        BALANCE_FOR_TOOLS,
        BALANCE_FOR_OPERATORS,
        BALANCE_BY_THE_CLOCK, /* however young it is */
};

struct account;
struct accounts;
struct balance;
struct balances;
struct forwarder;
struct scheduler;
struct strbuf;

/* For no account yet. Accounts and scheduler must outlive it. Returns 0 or -ENOMEM. */
int balances_new(const struct accounts *accounts, struct scheduler *scheduler,
                 struct balances **ret_balances);
void balances_free(struct balances *balances);

/* Makes one for the account that is added to the accounts next. Returns 0 or -ENOMEM. Thread: main.
 */
int balances_add(struct balances *balances, struct account *account);

/* The accounts of the start are there, which are asked by the clock from the start on; those that
 * come or change later are asked by balances_ask_forgotten() first. Thread: main. */
void balances_begin(struct balances *balances);

/* What is known, and what is being asked, is about another account by now, unless that was asked
 * already. To be called when the account has its new terms. Who waits goes on waiting: it is asked
 * once more. Thread: main. */
void balances_forget(struct balances *balances, const struct account *account);

/* The one that tools are told: of the first account by priority. Thread: any. */
struct balance *balances_first(struct balances *balances);

/*
 * Asks every upstream of the configuration that is not being asked already, if its last answer is
 * too old for who asks. Thread: the forwarder's loop.
 */
void balances_refresh(struct balances *balances, struct forwarder *forwarder,
                      enum balance_asker asker);

/* Asks those upstreams that balances_forget() was called for, unless somebody has asked since: new
 * ones, and those that are not the same any more. Thread: likewise. */
void balances_ask_forgotten(struct balances *balances, struct forwarder *forwarder);

/*
 * The end: no upstream is asked any more, and what runs on this loop is broken off, which wakes who
 * waits. To be called on each loop. Thread: the forwarder's loop.
 */
void balances_close(struct balances *balances, struct forwarder *forwarder);

/*
 * Asks the upstream on this loop if the last answer is old and nobody asks already, and arms the
 * waiter until the answer is there. Returns false when there is nothing to wait for.
 * Thread: the forwarder's loop.
 */
bool balance_wait(struct balance *balance, struct forwarder *forwarder, struct waiter *waiter);

/* Disarms a waiter. Returns false when its mail is on the way. Thread: any. */
bool balance_unwait(struct balance *balance, struct waiter *waiter);

/*
 * Appends the members of the last answer, without braces, and tells its age. Returns 0, or
 * -ENODATA when there was none yet; then appends what went wrong instead. Thread: any.
 */
int balance_read(struct balance *balance, struct strbuf *ret_text, int64_t *ret_age_ms);

/*
 * For operators: arms the waiter at the first of those that balances_figures() tells whose answer
 * is old, until it is there, and returns it for balance_unwait(); the caller sees to it that
 * balances_refresh() is called. Returns NULL when none is old. Thread: main.
 */
struct balance *balances_await(struct balances *balances, struct waiter *waiter);

/* What is known of one, for operators. */
struct balance_figures {
        const char *upstream;   /* the account's name */
        bool known;             /* there was an answer */
        int64_t age_ms;         /* of it; valid with known */
        bool tells_left;        /* it says how much is left; only with known */
        double left;            /* valid with tells_left: solves, or money */
        bool failing;           /* it gave none when it was last asked, and is not retired */
        bool refused;           /* as the account was refused; only with failing */
        int64_t failure_age_ms; /* valid with failing, as the next one */
        char failure[UPSTREAM_MESSAGE_BYTES_MAX + 1];
};

/*
 * The balance with this index, from 0 on, of the accounts that scheduler_account() tells, in their
 * order: appends to ret_text, unless that is NULL, as balance_read() does. Returns false behind the
 * last. Thread: main.
 */
bool balances_figures(struct balances *balances, size_t index, struct balance_figures *ret_figures,
                      struct strbuf *ret_text);

#endif
