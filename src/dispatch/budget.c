/*
 * budget: see budget.h.
 */
#include "dispatch/budget.h"

#include <assert.h>
#include <stdlib.h>

#define RETRY      100 /* its price, in the unit of credit */
#define CREDIT_MAX ((int64_t)BUDGET_RETRIES_MAX * RETRY)

_Static_assert(BUDGET_FREE_MS % RETRY == 0, "a hundredth of a free retry is a whole time");

static void add_credit(struct budget *budget, int64_t credit)
{
        budget->credit += credit;
        if (budget->credit > CREDIT_MAX)
                budget->credit = CREDIT_MAX;
}

void budget_init(struct budget *budget, int64_t now_ms)
{
        *budget =
                (struct budget){.credit = (int64_t)BUDGET_RETRIES_START * RETRY, .last_ms = now_ms};
}

void budget_earn(struct budget *budget)
{
        add_credit(budget, BUDGET_PERCENT * RETRY / 100);
}

/*
 * What time brings. The rest of less than a hundredth stays in last_ms. A caller may be a little
 * behind, since he read the clock before he had the lock.
 */
static void earn_by_time(struct budget *budget, int64_t now_ms)
{
        const int64_t step_ms = BUDGET_FREE_MS / RETRY;

        if (now_ms <= budget->last_ms)
                return;
        int64_t steps = (now_ms - budget->last_ms) / step_ms;
        add_credit(budget, steps);
        budget->last_ms += steps * step_ms;
}

bool budget_has(struct budget *budget, int64_t now_ms)
{
        earn_by_time(budget, now_ms);
        return budget->credit >= RETRY;
}

bool budget_spend(struct budget *budget, int64_t now_ms)
{
        if (!budget_has(budget, now_ms))
                return false;
        budget->credit -= RETRY;
        return true;
}

void budget_take_back(struct budget *budget, bool retry)
{
        add_credit(budget, retry ? RETRY : -BUDGET_PERCENT * RETRY / 100);
}

/* base_ms * 2^(attempt - 1), at most cap_ms, without overflow. */
static int64_t longest_pause(int64_t base_ms, int64_t cap_ms, int attempt)
{
        int64_t pause_ms = base_ms < cap_ms ? base_ms : cap_ms;

        for (int i = 1; i < attempt && pause_ms < cap_ms; i++)
                pause_ms = pause_ms > cap_ms / 2 ? cap_ms : pause_ms * 2;
        return pause_ms;
}

int64_t budget_backoff_ms(int64_t base_ms, int64_t cap_ms, int attempt, int64_t at_least_ms)
{
        assert(base_ms > 0 && cap_ms > 0);
        int64_t pause_ms = longest_pause(base_ms, cap_ms, attempt);
        uint64_t random;

        arc4random_buf(&random, sizeof random);
        int64_t jittered_ms = (int64_t)(random % ((uint64_t)pause_ms + 1));
        return jittered_ms > at_least_ms ? jittered_ms : at_least_ms;
}
