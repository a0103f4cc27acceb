/*
 * reply: see reply.h.
 */
#include "http/reply.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "engine/gateway.h"
#include "http/routes.h"
#include "http/server_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/results.h"

#include <stdio.h>
#include <string.h>

#define REPLY_BYTES_MAX  (4 * 1024 * 1024)
#define BUSY_RETRY_AFTER "1" /* seconds */
#define NUMBER_CHARS     24

/* Takes over the text. Without memory it is another one, and *status says so. */
static struct MHD_Response *response_new(struct strbuf *json, unsigned *status)
{
        static char no_memory[] = "{\"status\":\"error\",\"code\":\"queue_full\","
                                  "\"message\":\"solvegate has no memory for the answer\"}";
        size_t len;
        char *text = strbuf_take(json, &len);

        if (text)
                return MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
        *status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return MHD_create_response_from_buffer(strlen(no_memory), no_memory,
                                               MHD_RESPMEM_PERSISTENT);
}

static void add_number(struct MHD_Response *response, const char *name, int64_t number)
{
        char text[NUMBER_CHARS];

        (void)snprintf(text, sizeof text, "%lld", (long long)number);
        (void)MHD_add_response_header(response, name, text);
}

/* Takes over the response. */
static enum MHD_Result queue_as(struct request *request, unsigned status, const char *content_type,
                                struct MHD_Response *response)
{
        if (!response)
                return MHD_NO;
        (void)MHD_add_response_header(response, "Content-Type", content_type);
        (void)MHD_add_response_header(response, "Cache-Control", "no-store");
        if (request->preference_applied[0])
                (void)MHD_add_response_header(response, "Preference-Applied",
                                              request->preference_applied);
        log_debug("request %s answered %u%s%s",
                  request->route ? request->route->path : "without route", status,
                  request->job ? " job " : "", request->job ? request->job->id : "");
        request->phase = REQUEST_DONE;
        enum MHD_Result result = MHD_queue_response(request->mhd, status, response);
        MHD_destroy_response(response);
        return result;
}

static enum MHD_Result queue(struct request *request, unsigned status,
                             struct MHD_Response *response)
{
        return queue_as(request, status, "application/json", response);
}

struct reply_field reply_refusal_field(const struct request *request)
{
        switch (request->refusal.status) {
        case MHD_HTTP_METHOD_NOT_ALLOWED:
                return (struct reply_field){"Allow", route_allow(request->route)};
        case MHD_HTTP_TOO_MANY_REQUESTS:
        case MHD_HTTP_SERVICE_UNAVAILABLE:
                return (struct reply_field){"Retry-After", BUSY_RETRY_AFTER};
        default:
                return (struct reply_field){0};
        }
}

void reply_append_error(struct strbuf *json, unsigned status, const char *code, const char *message)
{
        (void)strbuf_printf(json, "{\"status\":\"%s\",\"code\":\"%s\",\"message\":",
                            status == MHD_HTTP_UNAUTHORIZED ? "Unauthorized" : "error", code);
        (void)strbuf_append_json_string(json, message, strlen(message));
        (void)strbuf_puts(json, "}");
}

enum MHD_Result reply_refusal(struct request *request)
{
        const struct refusal *refusal = &request->refusal;
        struct strbuf json;

        strbuf_init(&json, REPLY_BYTES_MAX);
        reply_append_error(&json, refusal->status, refusal->code, refusal->message);
        unsigned status = refusal->status;
        struct MHD_Response *response = response_new(&json, &status);
        struct reply_field field = reply_refusal_field(request);
        if (response && field.name)
                (void)MHD_add_response_header(response, field.name, field.value);
        if (response && connection_over_limit(request->connection))
                (void)MHD_add_response_header(response, "Connection", "close");
        return queue(request, status, response);
}

enum MHD_Result reply_json(struct request *request, struct strbuf *json, int64_t age_s)
{
        unsigned status = MHD_HTTP_OK;
        struct MHD_Response *response = response_new(json, &status);

        if (response && age_s >= 0)
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
        return queue_as(request, 200, content_type,
                        MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE));
}

/* `"id":…,"url":…` of the request's job, for this client. */
static void append_id_url(const struct request *request, struct strbuf *json)
{
        const struct job *job = request->job;

        (void)strbuf_printf(json, "\"id\":\"%s\",\"url\":\"http://%s%s/status?id=%s\"", job->id,
                            request->host, request->route->family, job->id);
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
        /* Without memory for a message, the code has to do. */
        const char *message = outcome->text ? outcome->text : code;

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

        if (request->route->takes_body && value)
                (void)MHD_add_response_header(response, "Cache-Status", value);
}

enum MHD_Result reply_job(struct request *request)
{
        struct gateway *gateway = request->server->gateway;
        enum job_state state = results_state(gateway_results(gateway), request->job);
        struct strbuf json;

        strbuf_init(&json, REPLY_BYTES_MAX);
        if (!job_state_final(state))
                append_queued(request, &json);
        else if (state == JOB_SOLVED)
                append_solved(request, &json);
        else
                append_failed(request, &json);
        unsigned status = MHD_HTTP_OK;
        struct MHD_Response *response = response_new(&json, &status);
        if (response)
                add_cache_status(request, response);
        if (response && !job_state_final(state))
                add_number(response, "Retry-After",
                           (gateway_config(gateway)->poll.interval_ms + 999) / 1000);
        return queue(request, status, response);
}
