/*
 * state: see state.h.
 */
#include "job/state.h"

#include <stdlib.h>

bool job_state_final(enum job_state state)
{
        switch (state) {
        case JOB_QUEUED:
        case JOB_SENDING:
        case JOB_ACCEPTED:
                return false;
        case JOB_SOLVED:
        case JOB_FAILED:
        case JOB_CANCELLED:
        case JOB_UNKNOWN:
                return true;
        }
        abort();
}

bool job_state_may_become(enum job_state from, enum job_state to)
{
        switch (from) {
        case JOB_QUEUED:
                return to == JOB_SENDING || to == JOB_SOLVED || to == JOB_FAILED ||
                       to == JOB_CANCELLED || to == JOB_UNKNOWN;
        case JOB_SENDING:
                return to == JOB_QUEUED || to == JOB_ACCEPTED || to == JOB_SOLVED ||
                       to == JOB_FAILED || to == JOB_UNKNOWN;
        case JOB_ACCEPTED:
                return to == JOB_SOLVED || to == JOB_FAILED || to == JOB_UNKNOWN;
        case JOB_SOLVED:
        case JOB_FAILED:
        case JOB_CANCELLED:
        case JOB_UNKNOWN:
                return false;
        }
        abort();
}

const char *job_state_name(enum job_state state)
{
        static const char *const names[] = {
                [JOB_QUEUED] = "queued",   [JOB_SENDING] = "sending", [JOB_ACCEPTED] = "accepted",
                [JOB_SOLVED] = "solved",   [JOB_FAILED] = "failed",   [JOB_CANCELLED] = "cancelled",
                [JOB_UNKNOWN] = "unknown",
        };

        return names[state];
}

const char *job_error_code(enum job_error error)
{
        static const char *const codes[] = {
                [JOB_ERROR_NONE] = "none",
                [JOB_UPSTREAM_REJECTED] = "upstream_rejected",
                [JOB_UPSTREAM_UNAVAILABLE] = "upstream_unavailable",
                [JOB_DEADLINE] = "deadline",
                [JOB_CANCELLED_ERROR] = "cancelled",
                [JOB_OUTCOME_UNKNOWN] = "outcome_unknown",
        };

        return codes[error];
}
