/*
 * quota_json: see quota_json.h.
 */
#include "http/quota_json.h"

#include "access/quota.h"
#include "base/json_value.h"
#include "gateway/gateway_stats.h"
#include "http/ratelimit.h"

#include <stddef.h>

struct json_object *quota_json_window(const struct quota_window *window)
{
        bool limited = window->limit > 0;

        return JSON_OBJECT({"limit", limited ? json_new_integer(window->limit) : NULL},
                           {"used", json_new_integer(window->used)},
                           {"reserved", json_new_integer(window->reserved)},
                           {"left", limited ? json_new_integer(window->left) : NULL},
                           {"resets", json_new_time(window->renews_wall_ms)});
}

struct json_object *quota_json_rate(const struct quota_figures *figures)
{
        if (figures->limits.rate <= 0)
                return NULL;
        return JSON_OBJECT({"limit", json_new_number(figures->limits.rate)},
                           {"burst", json_new_integer(figures->limits.burst)},
                           {"left", json_new_integer(ratelimit_bucket(figures))});
}

struct json_object *quota_json_max_in_flight(int max_in_flight)
{
        return max_in_flight > 0 ? json_new_integer(max_in_flight) : NULL;
}

struct json_object *quota_json_saved(const struct scheduler_usage *usage)
{
        return JSON_OBJECT({"cache", json_new_integer(usage->saved_cache)},
                           {"collapsed", json_new_integer(usage->saved_collapsed)});
}
