/*
 * usage: GET /api/usage and /usage: what the client has used, and what it has left.
 */
#include "access/clients.h"
#include "access/quota.h"
#include "base/strbuf.h"
#include "engine/gateway.h"
#include "engine/scheduler.h"
#include "http/ratelimit.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"

#include <string.h>
#include <time.h>

#define USAGE_BYTES_MAX 4096
#define TIME_CHARS      32

/* RFC 3339. */
static void write_time(int64_t wall_ms, char ret_text[static TIME_CHARS])
{
        time_t seconds = (time_t)(wall_ms / 1000);
        struct tm utc = {0};

        (void)gmtime_r(&seconds, &utc);
        (void)strftime(ret_text, TIME_CHARS, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* A number, or null where there is no limit. */
static void append_limit(struct strbuf *json, const char *name, int64_t limit, int64_t number)
{
        if (limit > 0)
                (void)strbuf_printf(json, "\"%s\":%lld", name, (long long)number);
        else
                (void)strbuf_printf(json, "\"%s\":null", name);
}

static void append_window(struct strbuf *json, const char *name, const struct quota_window *window)
{
        char renews[TIME_CHARS];

        write_time(window->renews_wall_ms, renews);
        (void)strbuf_printf(json, ",\"%s\":{", name);
        append_limit(json, "limit", window->limit, window->limit);
        (void)strbuf_printf(json, ",\"used\":%lld,\"reserved\":%lld,", (long long)window->used,
                            (long long)window->reserved);
        append_limit(json, "left", window->limit, window->left);
        (void)strbuf_printf(json, ",\"resets\":\"%s\"}", renews);
}

static void append_rate(struct strbuf *json, const struct quota_figures *figures)
{
        if (figures->limits.rate > 0)
                (void)strbuf_printf(json,
                                    ",\"rate\":{\"limit\":%.15g,\"burst\":%lld,\"left\":%lld}",
                                    figures->limits.rate, (long long)figures->limits.burst,
                                    (long long)ratelimit_bucket(figures));
        else
                (void)strbuf_puts(json, ",\"rate\":null");
}

static void append_jobs(struct strbuf *json, const struct scheduler_usage *usage)
{
        (void)strbuf_printf(json, ",\"in_flight\":%d,", usage->in_flight);
        append_limit(json, "max_in_flight", usage->max_in_flight, usage->max_in_flight);
        (void)strbuf_printf(json, ",\"queued\":%zu,\"saved\":{\"cache\":%lld,\"collapsed\":%lld}",
                            usage->queued, (long long)usage->saved_cache,
                            (long long)usage->saved_collapsed);
}

enum MHD_Result usage_handle(struct request *request)
{
        const char *name = request->client->name;
        struct quota_figures figures;
        struct scheduler_usage usage;
        struct strbuf json;

        scheduler_usage(gateway_scheduler(request->server->gateway), request->client, &usage,
                        &figures);
        strbuf_init(&json, USAGE_BYTES_MAX);
        (void)strbuf_puts(&json, "{\"status\":\"active\",\"client\":");
        (void)strbuf_append_json_string(&json, name, strlen(name));
        append_window(&json, "daily", &figures.day);
        append_window(&json, "monthly", &figures.month);
        append_rate(&json, &figures);
        append_jobs(&json, &usage);
        (void)strbuf_puts(&json, "}");
        return reply_json(request, &json, -1);
}
