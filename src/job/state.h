/*
 * state: the states of a job, and of the purchase that it shares with identical ones.
 *
 *      queued ◀─▶ sending ──▶ accepted
 *         │          │           │
 *         ├──────────┼───────────┼──▶ solved     the upstream's final answer
 *         ├──────────┼───────────┼──▶ failed     refused, or too late
 *         ├──────────┴───────────┴──▶ unknown    may have been charged, and is not sent again
 *         └─────────────────────────▶ cancelled  never sent, or surely turned away
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
        JOB_CANCELLED = 5, /* final: never sent, or surely turned away */
        JOB_UNKNOWN = 6,   /* final: may have been charged, and is not sent again */
};

/* Why a job has no solution (docs/api.md). The store keeps these numbers, too. */
enum job_error {
        JOB_ERROR_NONE = 0,
        JOB_UPSTREAM_REJECTED = 1,
        JOB_UPSTREAM_UNAVAILABLE = 2,
        JOB_DEADLINE = 3,
        JOB_CANCELLED_ERROR = 4,
        JOB_OUTCOME_UNKNOWN = 5,
};

/* Why a job ends apart from its purchase. dispatch/end_job has what follows from each. */
enum end_reason {
        END_NOT = 0,     /* it does not end */
        END_BY_OWNER,    /* its owner cancels it */
        END_BY_OPERATOR, /* an operator cancels it */
        END_STOPPED,     /* solvegate is being stopped, and the store keeps nothing */
        END_OVERDUE,     /* its deadline passed while it waited; another job's has not */
        END_ALL_OVERDUE, /* the deadlines of all jobs of its purchase passed while it waited */
        END_NO_RESULT,   /* its deadline passed while the upstream had it */
        END_NOT_ALLOWED, /* the policy does not allow its client or site any more */
        END_PAYER_GONE,  /* the payer has ended, and no client of the others can pay */
        END_NO_TRIES,    /* a reload has left its purchase no attempt */
        END_NO_TRIES_AT_START, /* a start with another configuration has left it none, in doubt */
        END_WITHDRAWN,         /* it cannot be stored, and its ID was not returned */
};

bool job_state_final(enum job_state state);

/* Tells whether the drawing above has this arrow. */
bool job_state_may_become(enum job_state from, enum job_state to);

const char *job_state_name(enum job_state state);

/* Returns the code in answers to clients (docs/api.md). */
const char *job_error_code(enum job_error error);

#endif
