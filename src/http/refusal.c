/*
 * refusal: see refusal.h.
 */
#include "http/refusal.h"

#include "base/json_value.h"
#include "http/request_private.h"
#include "http/route.h"
#include "job/body.h"

#include <stdarg.h>
#include <stdio.h>

/* A maintenance takes minutes: the tools need not come each second. */
#define DRAINED_RETRY_AFTER_S 30

void request_refuse(struct request *request, unsigned status, const char *code, const char *format,
                    ...)
{
        struct refusal *refusal = &request->refusal;
        va_list args;

        if (refusal->status != 0)
                return;
        refusal->status = status;
        refusal->code = code;
        va_start(args, format);
        (void)vsnprintf(refusal->message, sizeof refusal->message, format, args);
        va_end(args);
        /* A refused request keeps nothing. */
        body_unref(request->body);
        request->body = NULL;
}

void refusal_from_verdict(struct request *request, enum gateway_verdict verdict,
                          const char *message)
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

struct reply_field refusal_field(const struct request *request,
                                 char text[static REFUSAL_NUMBER_CHARS])
{
        const struct refusal *refusal = &request->refusal;
        int64_t later_s =
                refusal->retry_after_s > 0 ? refusal->retry_after_s : REFUSAL_RETRY_AFTER_S;

        switch (refusal->status) {
        case MHD_HTTP_METHOD_NOT_ALLOWED:
                return (struct reply_field){"Allow", route_allow(request->route)};
        case MHD_HTTP_UNAUTHORIZED:
                return (struct reply_field){"WWW-Authenticate", refusal->challenge};
        case MHD_HTTP_TOO_MANY_REQUESTS:
        case MHD_HTTP_SERVICE_UNAVAILABLE:
                (void)snprintf(text, REFUSAL_NUMBER_CHARS, "%lld", (long long)later_s);
                return (struct reply_field){"Retry-After", text};
        default:
                return (struct reply_field){0};
        }
}

void refusal_append(struct strbuf *json, unsigned status, const char *code, const char *message)
{
        const char *word = status == MHD_HTTP_UNAUTHORIZED ? "Unauthorized" : "error";

        json_write(JSON_OBJECT({"status", json_new_string(word)}, {"code", json_new_string(code)},
                               {"message", json_new_string(message)}),
                   json);
}
