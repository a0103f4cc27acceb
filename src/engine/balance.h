/*
 * balance: an upstream's last answer about its account, fetched each poll.balance, and when
 * somebody asks and the last one has become old, by one request however many ask.
 *
 * There is one for each account. Each has its own mutex, a leaf but for the mailboxes.
 */
#ifndef SOLVEGATE_ENGINE_BALANCE_H
#define SOLVEGATE_ENGINE_BALANCE_H

#include "job/waiter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALANCE_FRESH_MS   60000 /* an answer younger than this is given without asking */
#define BALANCE_AGAIN_MS   5000  /* after a failure the upstream is not asked for this long */
#define BALANCE_TIMEOUT_MS 10000 /* for one request */

struct account;
struct balance;
struct balances;
struct strbuf;
struct transfers;

/* The accounts must outlive the balances. Returns 0 or -ENOMEM. */
int balances_new(const struct account *accounts, size_t count, struct balances **ret_balances);
void balances_free(struct balances *balances);

/* The one that tools are told: of the first account by priority. */
struct balance *balances_first(struct balances *balances);

/* Asks every upstream that is not being asked already. Thread: the loop's of the transfers. */
void balances_refresh(struct balances *balances, struct transfers *transfers);

/*
 * The end: no upstream is asked any more, and what runs on this loop is broken off, which wakes who
 * waits. To be called on each loop. Thread: the loop's of the transfers.
 */
void balances_close(struct balances *balances, struct transfers *transfers);

/*
 * Asks the upstream on this loop if the last answer is old and nobody asks already, and arms the
 * waiter until the answer is there. Returns false when there is nothing to wait for.
 * Thread: the loop's of the transfers.
 */
bool balance_wait(struct balance *balance, struct transfers *transfers, struct waiter *waiter);

/* Disarms a waiter. Returns false when its mail is on the way. Thread: any. */
bool balance_unwait(struct balance *balance, struct waiter *waiter);

/*
 * Appends the members of the last answer, without braces, and tells its age. Returns 0, or
 * -ENODATA when there was none yet; then appends what went wrong instead. Thread: any.
 */
int balance_read(struct balance *balance, struct strbuf *ret_text, int64_t *ret_age_ms);

#endif
