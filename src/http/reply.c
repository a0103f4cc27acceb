/*
 * reply: see reply.h.
 */
#include "http/reply.h"

#include "access/clients.h"
#include "access/quota.h"
#include "base/json_value.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "gateway/gateway_stats.h"
#include "http/connection.h"
#include "http/cors.h"
#include "http/listener.h"
#include "http/ratelimit.h"
#include "http/refusal.h"
#include "http/request_log.h"
#include "http/request_private.h"
#include "http/route.h"
#include "job/job.h"
#include "job/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_BYTES_MAX (4 * 1024 * 1024)

/* Takes over a text, which libmicrohttpd does not free if it has no memory for the response. */
static struct MHD_Response *response_of(char *text, size_t len)
{
        struct MHD_Response *response =
                MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);

        if (!response)
                free(text);
        return response;
}

/* Takes over the text. Without memory it is another one, and *status says so. */
static struct MHD_Response *response_new(struct strbuf *json, unsigned *status)
{
        static char no_memory[] = "{\"status\":\"error\",\"code\":\"queue_full\","
                                  "\"message\":\"solvegate has no memory for the answer\"}";
        size_t len;
        char *text = strbuf_take(json, &len);

        if (text)
                return response_of(text, len);
        *status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return MHD_create_response_from_buffer(strlen(no_memory), no_memory,
                                               MHD_RESPMEM_PERSISTENT);
}

static void add_number(struct MHD_Response *response, const char *name, int64_t number)
{
        char text[REFUSAL_NUMBER_CHARS];

        (void)snprintf(text, sizeof text, "%lld", (long long)number);
        (void)MHD_add_response_header(response, name, text);
}

/* A client with limits is told of them wherever it submits jobs or asks what it has left. */
static void add_limits(const struct request *request, struct MHD_Response *response)
{
        char policy[RATELIMIT_BYTES_MAX], left[RATELIMIT_BYTES_MAX];
        struct quota_figures figures;
        struct scheduler_usage usage;

        /* Who is known without a token has none. */
        if (!request->client || !request->has_token || request->route->auth != AUTH_REQUIRED)
                return;
        gateway_usage(request->server->gateway, request->client, &usage, &figures);
        if (!ratelimit_any(&figures))
                return;
        ratelimit_policy(&figures, policy);
        ratelimit_left(&figures, left);
        (void)MHD_add_response_header(response, "RateLimit-Policy", policy);
        (void)MHD_add_response_header(response, "RateLimit", left);
}

/* Operators' servers have none: nobody looks for theirs. */
static const char *request_id(const struct request *request)
{
        return request->server->kind == SERVER_FOR_TOOLS ? request->record.id : NULL;
}

/* Whether it has the fields without which a client or a cache would misread it: without memory
 * libmicrohttpd leaves fields out. */
static bool has_needed_fields(struct MHD_Response *response, const char *content_type)
{
        return (!content_type || MHD_get_response_header(response, "Content-Type")) &&
               MHD_get_response_header(response, "Cache-Control");
}

/* Takes over the response. The content type is NULL where there is no content. Returns MHD_NO,
 * which ends the connection, without memory. */
static enum MHD_Result queue_as(struct request *request, unsigned status, const char *content_type,
                                struct MHD_Response *response)
{
        if (!response)
                return MHD_NO;
        if (content_type)
                (void)MHD_add_response_header(response, "Content-Type", content_type);
        (void)MHD_add_response_header(response, "Cache-Control", "no-store");
        if (request->server->draining || request->refusal.closes ||
            connection_ends_here(request->connection))
                (void)MHD_add_response_header(response, "Connection", "close");
        cors_add_fields(request, response);
        add_limits(request, response);
        if (request->preference_applied[0])
                (void)MHD_add_response_header(response, "Preference-Applied",
                                              request->preference_applied);
        if (request_id(request))
                (void)MHD_add_response_header(response, "X-Request-Id", request_id(request));
        if (!has_needed_fields(response, content_type)) {
                MHD_destroy_response(response);
                return MHD_NO;
        }
        request_log_answer(request, status);
        request->phase = REQUEST_DONE;
        enum MHD_Result result = MHD_queue_response(request->mhd, status, response);
        MHD_destroy_response(response);
        connection_enter(request->connection, CONNECTION_REPLY);
        return result;
}

static enum MHD_Result queue(struct request *request, unsigned status,
                             struct MHD_Response *response)
{
        /* Without memory it is 503, whatever it was to be. */
        if (response && status == MHD_HTTP_SERVICE_UNAVAILABLE &&
            !MHD_get_response_header(response, "Retry-After"))
                add_number(response, "Retry-After", REFUSAL_RETRY_AFTER_S);
        return queue_as(request, status, "application/json", response);
}

enum MHD_Result reply_no_content(struct request *request, struct MHD_Response *response)
{
        return queue_as(request, MHD_HTTP_NO_CONTENT, NULL, response);
}

/* ---- refusals ---- */

/* Those that somebody may have to answer for. */
static bool is_audited(const char *code)
{
        static const char *const codes[] = {
                "unauthorized",     "site_not_allowed", "method_not_allowed_for_job",
                "forbidden_origin", "forbidden_host",   "rate_limited",
                "quota_exceeded",
        };

        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
                if (strcmp(codes[i], code) == 0)
                        return true;
        }
        return false;
}

static void note_refusal(const struct request *request)
{
        const struct client *client = request->revoked ? request->revoked : request->client;

        if (!is_audited(request->refusal.code))
                return;
        request_log_refusal(request);
        gateway_audit_refusal(request->server->gateway, client, request->address,
                              request->site[0] ? request->site : NULL, request->refusal.code);
}

enum MHD_Result reply_refusal(struct request *request)
{
        const struct refusal *refusal = &request->refusal;
        char text[REFUSAL_NUMBER_CHARS];
        struct strbuf json;

        note_refusal(request);
        request->record.error = refusal->code;
        strbuf_init(&json, REPLY_BYTES_MAX);
        refusal_append(&json, refusal->status, refusal->code, refusal->message);
        unsigned status = refusal->status;
        struct MHD_Response *response = response_new(&json, &status);
        struct reply_field field = refusal_field(request, text);
        if (response && field.name && status == refusal->status)
                (void)MHD_add_response_header(response, field.name, field.value);
        return queue(request, status, response);
}

void reply_cut(struct request *request, enum connection_end end)
{
        const struct refusal *refusal = &request->refusal;
        char text[REFUSAL_NUMBER_CHARS];
        const struct reply_field field = refusal_field(request, text);

        note_refusal(request);
        request->record.error = refusal->code;
        request->record.cut = true;
        request_log_answer(request, refusal->status);
        connection_cut(request->connection, end, refusal->status, refusal->code, refusal->message,
                       &field, request_id(request));
}

/* ---- what was asked for ---- */

enum MHD_Result reply_json(struct request *request, struct json_object *json, int64_t age_s)
{
        unsigned status = MHD_HTTP_OK;
        struct strbuf text;

        strbuf_init(&text, REPLY_JSON_BYTES_MAX);
        json_write(json, &text);
        struct MHD_Response *response = response_new(&text, &status);

        if (response && status == MHD_HTTP_OK && age_s >= 0)
                add_number(response, "Age", age_s);
        return queue(request, status, response);
}

enum MHD_Result reply_text(struct request *request, struct strbuf *text, const char *content_type)
{
        size_t len;
        char *bytes = strbuf_take(text, &len);

        if (!bytes) {
                request_refuse(request, 503, "queue_full",
                               "solvegate has no memory for the answer; try again later");
                return reply_refusal(request);
        }
        return queue_as(request, 200, content_type, response_of(bytes, len));
}

/* `"id":…,"url":…` of the request's job, for this client. */
static void append_id_url(const struct request *request, struct strbuf *json)
{
        const struct job *job = request->job;

        (void)strbuf_printf(json, "\"id\":\"%s\",\"url\":\"%s://%s%s/status?id=%s\"", job->id,
                            request->server->listener->scheme, request->host,
                            request->route->family, job->id);
}

static void append_queued(const struct request *request, struct strbuf *json)
{
        const struct job *job = request->job;

        (void)strbuf_printf(json, "{\"createdat\":%lld,", (long long)(job->created_wall_ms / 1000));
        append_id_url(request, json);
        (void)strbuf_printf(json, ",\"status\":\"new\",\"target\":%s,\"message\":\"in queue\"}",
                            job->target_json);
}

static void append_solved(const struct request *request, struct strbuf *json)
{
        const struct job *job = request->job;

        (void)strbuf_puts(json, "{");
        (void)strbuf_append(json, job->outcome->text, job->outcome->len);
        (void)strbuf_puts(json, ",");
        append_id_url(request, json);
        (void)strbuf_puts(json, "}");
}

static void append_failed(const struct request *request, struct strbuf *json)
{
        const struct outcome *outcome = request->job->outcome;
        const char *code = job_error_code(outcome->error);
        /* Without memory for a message, the code has to do; from the store it comes back as "". */
        const char *message = outcome->text && outcome->text[0] ? outcome->text : code;

        (void)strbuf_puts(json, "{");
        append_id_url(request, json);
        (void)strbuf_printf(json, ",\"status\":\"error\",\"code\":\"%s\",\"message\":", code);
        (void)strbuf_append_json_string(json, message, strlen(message));
        (void)strbuf_puts(json, "}");
}

/* RFC 9211: an answer to a solve tells where the result comes from. */
static void add_cache_status(const struct request *request, struct MHD_Response *response)
{
        static const char *const values[] = {
                [JOB_FROM_UPSTREAM] = NULL,
                [JOB_FROM_COLLAPSED] = "solvegate; fwd=miss; collapsed",
                [JOB_FROM_CACHE] = "solvegate; hit",
        };
        const char *value = values[request->job->source];

        if (request->route->kind == ROUTE_SOLVES && value)
                (void)MHD_add_response_header(response, "Cache-Status", value);
}

/* What the log tells of the job, as it is answered. */
static void record_job(struct request *request, enum job_state state)
{
        static const char *const sources[] = {
                [JOB_FROM_UPSTREAM] = "upstream",
                [JOB_FROM_COLLAPSED] = "collapsed",
                [JOB_FROM_CACHE] = "cache",
        };

        request->record.state = job_state_name(state);
        if (state == JOB_SOLVED)
                request->record.source = sources[request->job->source];
        else if (job_state_final(state))
                request->record.error = job_error_code(request->job->outcome->error);
}

enum MHD_Result reply_job(struct request *request)
{
        struct gateway *gateway = request->server->gateway;
        enum job_state state = gateway_state(gateway, request->job);
        struct strbuf json;

        record_job(request, state);
        strbuf_init(&json, REPLY_BYTES_MAX);
        if (!job_state_final(state))
                append_queued(request, &json);
        else if (state == JOB_SOLVED)
                append_solved(request, &json);
        else
                append_failed(request, &json);
        unsigned status = MHD_HTTP_OK;
        struct MHD_Response *response = response_new(&json, &status);
        if (response && status == MHD_HTTP_OK)
                add_cache_status(request, response);
        if (response && status == MHD_HTTP_OK && !job_state_final(state))
                add_number(response, "Retry-After",
                           (gateway_config(gateway)->poll.interval_ms + 999) / 1000);
        return queue(request, status, response);
}
