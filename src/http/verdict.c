/*
 * verdict: see verdict.h.
 */
#include "http/verdict.h"

#include "http/server_private.h"

/* A maintenance takes minutes: the tools need not come each second. */
#define DRAINED_RETRY_AFTER_S 30

void verdict_refuse(struct request *request, enum gateway_verdict verdict, const char *message)
{
        static const struct {
                unsigned status;
                const char *code;
                int64_t retry_after_s; /* 0: soon */
        } refusals[] = {
                [GATEWAY_BAD_JSON] = {400, "bad_json", 0},
                [GATEWAY_BAD_JOB] = {400, "bad_job", 0},
                [GATEWAY_JOB_METHOD] = {403, "method_not_allowed_for_job", 0},
                [GATEWAY_SITE] = {403, "site_not_allowed", 0},
                [GATEWAY_TOO_LARGE] = {413, "too_large", 0},
                [GATEWAY_QUEUE_FULL] = {503, "queue_full", 0},
                [GATEWAY_DRAINING] = {503, "draining", 0},
                [GATEWAY_DRAINED] = {503, "draining", DRAINED_RETRY_AFTER_S},
                [GATEWAY_NO_UPSTREAM] = {503, "no_upstream", 0},
                [GATEWAY_STORE] = {503, "store_unavailable", 0},
                [GATEWAY_KEY_REUSED] = {422, "key_reused", 0},
                [GATEWAY_RATE_LIMITED] = {429, "rate_limited", 0},
                [GATEWAY_QUOTA_EXCEEDED] = {429, "quota_exceeded", 0},
                [GATEWAY_NO_MEMORY] = {503, "queue_full", 0},
        };

        if (verdict == GATEWAY_OK || verdict == GATEWAY_PENDING || request->refusal.status != 0)
                return;
        request_refuse(request, refusals[verdict].status, refusals[verdict].code, "%s", message);
        request->refusal.retry_after_s = refusals[verdict].retry_after_s;
}
