/*
 * flight_answer: what the answer to a solve says besides how the job goes on: to the log, about its
 * id, about the time it had, and about the upstream's health.
 */
#include "forward/flight_private.h"

#include "base/log.h"
#include "dispatch/job_log.h"
#include "forward/probe.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdio.h>

#define FAIR_TIME_MS     10000 /* a request that times out with less does not blame the upstream */
#define DETAIL_SHOWN_MAX 360

void flight_log_trouble(const struct flight *flight, const struct account_terms *terms,
                        const struct answer *answer)
{
        const char *name = flight->turn.account->name;

        if (answer->detail[0] && job_log_take_upstream(LOG_LEVEL_WARNING))
                log_warning("upstream %s: %s", name, answer->detail);
        if (!answer->about_account || !job_log_take_upstream(LOG_LEVEL_ERROR))
                return;
        if (answer->loops)
                log_error("upstream %s: its url %s leads back to this solvegate; correct the url, "
                          "or what it resolves to, and reload (SIGHUP)",
                          name, terms->url);
        else
                log_error("upstream %s refuses the account of credential %s: %s", name,
                          terms->credential_name, answer->message);
}

void flight_check_id(const struct flight *flight, struct answer *answer)
{
        struct scheduler *scheduler = flight->forwarder->setup.scheduler;
        int r = 0;

        if (answer->kind == ANSWER_PENDING)
                r = scheduler_claim_id(scheduler, &flight->turn, answer->upstream_id);
        else if (answer->kind == ANSWER_FINAL && answer->upstream_id[0] &&
                 scheduler_has_id(scheduler, &flight->turn, answer->upstream_id))
                r = -EEXIST;
        if (r == 0)
                return;
        if (r == -EEXIST && job_log_take_upstream(LOG_LEVEL_ERROR))
                log_error("upstream %s has answered a job with the id of another one, which has "
                          "another task and is not finished; the answer is not used",
                          flight->turn.account->name);
        answer->kind = ANSWER_UNCLEAR;
        answer->retry_after_ms = 0;
        (void)snprintf(answer->message, sizeof answer->message, "%s",
                       r == -EEXIST ? "the upstream's answer has the id of another job"
                                    : "there was no memory to follow the job");
}

void flight_name_deadline(const struct flight *flight, struct answer *answer)
{
        char detail[sizeof answer->detail];

        if (!answer->timed_out)
                return;
        (void)snprintf(answer->message, sizeof answer->message, "%s",
                       answer->kind == ANSWER_NOT_SENT
                               ? "the request could not be sent in time"
                               : "no answer came within the time that limits.job_deadline left");
        (void)snprintf(detail, sizeof detail, "%s", answer->detail);
        (void)snprintf(answer->detail, sizeof answer->detail,
                       "the request had %lld ms, which was all that was left of "
                       "limits.job_deadline; if the upstream needs longer, raise it: %.*s",
                       (long long)flight->timeout_ms, DETAIL_SHOWN_MAX, detail);
}

enum breaker_result flight_result_of(const struct flight *flight, const struct answer *answer)
{
        if (answer->kind == ANSWER_UNCLEAR && answer->timed_out && !flight->turn.probe &&
            flight->timeout_ms < FAIR_TIME_MS)
                return BREAKER_NOTHING;
        return probe_result_of(answer);
}
