/*
 * budget: how many retries there may be, so that an upstream in trouble is not sent much more than
 * one that is well: a fifth of the first tries, and one in two seconds besides, so that few jobs
 * are retried too.
 *
 * Not locked: the scheduler's mutex guards it. Times are monotonic, in milliseconds.
 */
#ifndef SOLVEGATE_DISPATCH_BUDGET_H
#define SOLVEGATE_DISPATCH_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_PERCENT       20   /* retries for a hundred first tries */
#define BUDGET_FREE_MS       2000 /* and one besides for each such time */
#define BUDGET_RETRIES_MAX   100  /* how many may be saved up */
#define BUDGET_RETRIES_START 10

struct budget {
        int64_t credit; /* in hundredths of a retry */
        int64_t last_ms;
};

void budget_init(struct budget *budget, int64_t now_ms);

/* A job is sent for the first time. */
void budget_earn(struct budget *budget);

/* Whether there is a retry. */
bool budget_has(struct budget *budget, int64_t now_ms);

/* Takes one retry. Returns whether there was one. */
bool budget_spend(struct budget *budget, int64_t now_ms);

/* What was earned for a first try, or spent for a retry, was not used after all. */
void budget_take_back(struct budget *budget, bool retry);

/*
 * The pause before a retry: exponential backoff with full jitter. attempt is 1 before the first
 * retry, and so is what is less. Gives from 0 to base_ms * 2^(attempt - 1), at most cap_ms, and at
 * least at_least_ms.
 */
int64_t budget_backoff_ms(int64_t base_ms, int64_t cap_ms, int attempt, int64_t at_least_ms);

#endif
