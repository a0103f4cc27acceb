/*
 * balance: the upstream's last answer about its account, fetched when somebody asks and the last
 * one has become old, by one request however many ask.
 *
 * Of several upstreams it is the first by priority. Has its own mutex, a leaf but for the
 * mailboxes.
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
struct strbuf;
struct transfers;

/* The account must outlive the balance. Returns 0 or -ENOMEM. */
int balance_new(const struct account *account, struct balance **ret_balance);
void balance_free(struct balance *balance);

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

/*
 * The end: the upstream is not asked any more, and a request that runs on this loop is broken off,
 * which wakes who waits. To be called on each loop. Thread: the loop's of the transfers.
 */
void balance_close(struct balance *balance, struct transfers *transfers);

#endif
