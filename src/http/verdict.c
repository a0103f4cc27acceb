/*
 * verdict: see verdict.h.
 */
#include "http/verdict.h"

#include "http/server_private.h"

void verdict_refuse(struct request *request, enum gateway_verdict verdict, const char *message)
{
        static const struct {
                unsigned status;
                const char *code;
        } refusals[] = {
                [GATEWAY_BAD_JSON] = {400, "bad_json"},
                [GATEWAY_BAD_JOB] = {400, "bad_job"},
                [GATEWAY_JOB_METHOD] = {403, "method_not_allowed_for_job"},
                [GATEWAY_SITE] = {403, "site_not_allowed"},
                [GATEWAY_TOO_LARGE] = {413, "too_large"},
                [GATEWAY_QUEUE_FULL] = {503, "queue_full"},
                [GATEWAY_DRAINING] = {503, "draining"},
                [GATEWAY_NO_UPSTREAM] = {503, "no_upstream"},
                [GATEWAY_STORE] = {503, "store_unavailable"},
                [GATEWAY_KEY_REUSED] = {422, "key_reused"},
                [GATEWAY_RATE_LIMITED] = {429, "rate_limited"},
                [GATEWAY_QUOTA_EXCEEDED] = {429, "quota_exceeded"},
                [GATEWAY_NO_MEMORY] = {503, "queue_full"},
        };

        if (verdict != GATEWAY_OK)
                request_refuse(request, refusals[verdict].status, refusals[verdict].code, "%s",
                               message);
}
