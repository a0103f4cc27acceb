/*
 * state: the states of a job, and of the purchase that it shares with identical ones.
 *
 *                        ┌──────────────▶ cancelled   never sent
 *      queued ◀─▶ sending ──▶ accepted ──▶ solved     the upstream's final answer
 *         │          │  │         └─────▶ failed      refused, or too late
 *         │          │  └───────────────▶ unknown     may have been taken and charged
 *         └──────────┴──▶ solved | failed
 *
 * The store keeps these numbers: they never change.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_JOB_STATE_H
#define SOLVEGATE_JOB_STATE_H

#include <stdbool.h>

enum job_state {
        JOB_QUEUED = 0,    /* waits for its turn; nothing is under way */
        JOB_SENDING = 1,   /* a byte of it may have reached the upstream */
        JOB_ACCEPTED = 2,  /* the upstream has it queued under an id of its own */
        JOB_SOLVED = 3,    /* final */
        JOB_FAILED = 4,    /* final */
        JOB_CANCELLED = 5, /* final: never sent */
        JOB_UNKNOWN = 6,   /* final: may have been charged, and is not sent again */
};

/* Why a job has no solution (contract, section 3). Kept by the store, too. */
enum job_error {
        JOB_ERROR_NONE = 0,
        JOB_UPSTREAM_REJECTED = 1,
        JOB_UPSTREAM_UNAVAILABLE = 2,
        JOB_DEADLINE = 3,
        JOB_CANCELLED_ERROR = 4,
        JOB_OUTCOME_UNKNOWN = 5,
};

bool job_state_final(enum job_state state);

/* Tells whether the drawing above has this arrow. */
bool job_state_may_become(enum job_state from, enum job_state to);

const char *job_state_name(enum job_state state);

/* The code of the contract. */
const char *job_error_code(enum job_error error);

#endif
