/*
 * quota_json: see quota_json.h.
 */
#include "http/quota_json.h"

#include "access/quota.h"
#include "base/json_text.h"
#include "dispatch/scheduler.h"
#include "http/ratelimit.h"

/* A number, or null where there is no limit. */
static void add_limited(struct strbuf *json, const char *name, int64_t limit, int64_t number)
{
        if (limit > 0)
                json_add_integer(json, name, number);
        else
                json_add_null(json, name);
}

static void add_window(struct strbuf *json, const char *name, const struct quota_window *window)
{
        json_open_object(json, name);
        add_limited(json, "limit", window->limit, window->limit);
        json_add_integer(json, "used", window->used);
        json_add_integer(json, "reserved", window->reserved);
        add_limited(json, "left", window->limit, window->left);
        json_add_time(json, "resets", window->renews_wall_ms);
        json_close_object(json);
}

void quota_json_windows(struct strbuf *json, const struct quota_figures *figures)
{
        add_window(json, "daily", &figures->day);
        add_window(json, "monthly", &figures->month);
}

void quota_json_rate(struct strbuf *json, const struct quota_figures *figures)
{
        if (figures->limits.rate <= 0) {
                json_add_null(json, "rate");
                return;
        }
        json_open_object(json, "rate");
        json_add_number(json, "limit", figures->limits.rate);
        json_add_integer(json, "burst", figures->limits.burst);
        json_add_integer(json, "left", ratelimit_bucket(figures));
        json_close_object(json);
}

void quota_json_max_in_flight(struct strbuf *json, int max_in_flight)
{
        add_limited(json, "max_in_flight", max_in_flight, max_in_flight);
}

void quota_json_saved(struct strbuf *json, const struct scheduler_usage *usage)
{
        json_open_object(json, "saved");
        json_add_integer(json, "cache", usage->saved_cache);
        json_add_integer(json, "collapsed", usage->saved_collapsed);
        json_close_object(json);
}
