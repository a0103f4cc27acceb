/*
 * job: see job.h.
 */
#include "job/job.h"

#include "base/clock.h"
#include "base/random.h"
#include "job/body.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int job_new(char *target_json, char *host, struct body *body, int64_t deadline_after_ms,
            struct job **ret_job)
{
        struct job *job = calloc(1, sizeof *job);

        if (!job)
                return -ENOMEM;
        memcpy(job->id, "h-", 2);
        int r = random_token(job->id + 2, JOB_ID_CHARS - 2);
        if (r < 0) {
                free(job);
                return r;
        }
        atomic_init(&job->references, 1);
        job->target_json = target_json;
        job->host = host;
        job->body = body;
        job->created_wall_s = clock_wall_ms() / 1000;
        job->created_ms = clock_monotonic_ms();
        job->deadline_ms = job->created_ms + deadline_after_ms;
        job->state = JOB_QUEUED;
        *ret_job = job;
        return 0;
}

struct job *job_ref(struct job *job)
{
        (void)atomic_fetch_add_explicit(&job->references, 1, memory_order_relaxed);
        return job;
}

void job_unref(struct job *job)
{
        if (!job || atomic_fetch_sub_explicit(&job->references, 1, memory_order_acq_rel) != 1)
                return;
        assert(!job->waiters && !job->listed);
        job_drop_body(job);
        job_outcome_done(&job->outcome);
        free(job->target_json);
        free(job->host);
        free(job);
}

void job_drop_body(struct job *job)
{
        body_free(job->body);
        job->body = NULL;
}

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
                return to == JOB_SENDING || to == JOB_FAILED || to == JOB_CANCELLED;
        case JOB_SENDING:
                return to == JOB_ACCEPTED || to == JOB_SOLVED || to == JOB_FAILED ||
                       to == JOB_UNKNOWN;
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

void job_outcome_done(struct job_outcome *outcome)
{
        free(outcome->members);
        free(outcome->message);
        *outcome = (struct job_outcome){0};
}
