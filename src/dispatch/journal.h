/*
 * journal: the steps of a purchase that is under way, each written to the store before anybody
 * sees it; without a store they are taken at once.
 *
 * then(arg, error) is called on the loop, or at once without a store: error is 0, or -errno where
 * the step could not be written and was not taken.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_DISPATCH_JOURNAL_H
#define SOLVEGATE_DISPATCH_JOURNAL_H

#include "store/store.h"

struct account;
struct account_terms;
struct loop;
struct outcome;
struct purchase;
struct scheduler;

typedef void journal_then_fn(void *arg, int error);

/* What a step is about. */
struct journal {
        struct scheduler *scheduler;
        struct loop *loop;
        struct purchase *purchase;
        const struct account *account;
};

/* It is going to be sent. Returns -ENOMEM, and does not call then, if there is no memory or the
 * payer has left. */
int journal_sending(const struct journal *journal, journal_then_fn *then, void *arg);

/* The upstream has it under an id of its own, by these terms: charged. Its jobs are accepted once
 * that is stored. */
void journal_accepted(const struct journal *journal, const struct account_terms *terms,
                      const char *upstream_id);

/* It surely was not taken, or may be sent again all the same: it and its jobs are queued again. To
 * be called after scheduler_release(), and before scheduler_requeue(). */
void journal_returned(const struct journal *journal, enum store_charge charge);

/*
 * It has ended; takes over the outcome. charge is NONE where it was settled before. Its jobs are
 * final when then is called. This is never lost: without memory for a record it is taken at once.
 */
void journal_final(const struct journal *journal, struct outcome *outcome, enum store_charge charge,
                   journal_then_fn *then, void *arg);

/* Drops the bytes to be sent, once they were. */
void journal_drop_body(const struct journal *journal);

#endif
