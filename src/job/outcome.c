/*
 * outcome: see outcome.h.
 */
#include "job/outcome.h"

#include <stdlib.h>
#include <string.h>

/* Where there is no memory for one: without a text, and never freed. */
static struct outcome *without_memory(enum job_state state, enum job_error error)
{
        static struct outcome spare[JOB_UNKNOWN + 1][JOB_OUTCOME_UNKNOWN + 1];
        struct outcome *outcome = &spare[state][error];

        /* Written by whoever comes, with the same values. */
        __atomic_store_n(&outcome->state, state, __ATOMIC_RELAXED);
        __atomic_store_n(&outcome->error, error, __ATOMIC_RELAXED);
        __atomic_store_n(&outcome->spare, true, __ATOMIC_RELAXED);
        atomic_store(&outcome->references, 1U << 30);
        return outcome;
}

static struct outcome *outcome_new(enum job_state state, enum job_error error, char *text,
                                   size_t len)
{
        struct outcome *outcome = calloc(1, sizeof *outcome);

        if (!outcome)
                return NULL;
        atomic_init(&outcome->references, 1);
        outcome->state = state;
        outcome->error = error;
        outcome->text = text;
        outcome->len = len;
        return outcome;
}

struct outcome *outcome_solved(char *members, size_t len)
{
        struct outcome *outcome =
                members ? outcome_new(JOB_SOLVED, JOB_ERROR_NONE, members, len) : NULL;

        if (outcome)
                return outcome;
        free(members);
        return without_memory(JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN);
}

struct outcome *outcome_failed(enum job_state state, enum job_error error, const char *message)
{
        char *text = strdup(message);
        struct outcome *outcome = outcome_new(state, error, text, text ? strlen(text) : 0);

        if (outcome)
                return outcome;
        free(text);
        return without_memory(state, error);
}

struct outcome *outcome_ref(struct outcome *outcome)
{
        (void)atomic_fetch_add_explicit(&outcome->references, 1, memory_order_relaxed);
        return outcome;
}

void outcome_unref(struct outcome *outcome)
{
        if (!outcome ||
            atomic_fetch_sub_explicit(&outcome->references, 1, memory_order_acq_rel) != 1)
                return;
        free(outcome->text);
        free(outcome);
}
