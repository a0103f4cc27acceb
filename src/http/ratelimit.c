/*
 * ratelimit: see ratelimit.h.
 */
#include "http/ratelimit.h"

#include "access/quota.h"

#include <stdio.h>
#include <string.h>

static int64_t seconds_up(int64_t ms)
{
        return ms > 0 ? (ms - 1) / 1000 + 1 : 0;
}

/* How long an empty bucket takes to be full, in whole seconds. */
static int64_t fill_s(const struct quota_limits *limits)
{
        double exact = (double)limits->burst / limits->rate;
        int64_t whole = (int64_t)exact;

        return whole + ((double)whole < exact);
}

/* Appends one limit with two parameters to the list. */
static void append(char *field, const char *name, char key_a, int64_t a, char key_b, int64_t b)
{
        size_t len = strlen(field);

        (void)snprintf(field + len, RATELIMIT_BYTES_MAX - len, "%s\"%s\";%c=%lld;%c=%lld",
                       len > 0 ? ", " : "", name, key_a, (long long)a, key_b, (long long)b);
}

bool ratelimit_any(const struct quota_figures *figures)
{
        return figures->limits.rate > 0 || figures->day.limit > 0 || figures->month.limit > 0;
}

void ratelimit_policy(const struct quota_figures *figures,
                      char ret_field[static RATELIMIT_BYTES_MAX])
{
        const struct quota_limits *limits = &figures->limits;

        ret_field[0] = '\0';
        if (limits->rate > 0)
                append(ret_field, "rate", 'q', limits->burst, 'w', fill_s(limits));
        if (figures->day.limit > 0)
                append(ret_field, "daily", 'q', figures->day.limit, 'w', figures->day.length_s);
        if (figures->month.limit > 0)
                append(ret_field, "monthly", 'q', figures->month.limit, 'w',
                       figures->month.length_s);
}

static void append_window(char *field, const char *name, const struct quota_window *window,
                          int64_t now_wall_ms)
{
        if (window->limit > 0)
                append(field, name, 'r', window->left, 't',
                       seconds_up(window->renews_wall_ms - now_wall_ms));
}

void ratelimit_left(const struct quota_figures *figures, char ret_field[static RATELIMIT_BYTES_MAX])
{
        ret_field[0] = '\0';
        if (figures->limits.rate > 0)
                append(ret_field, "rate", 'r', ratelimit_bucket(figures), 't',
                       seconds_up(figures->full_ms));
        append_window(ret_field, "daily", &figures->day, figures->now_wall_ms);
        append_window(ret_field, "monthly", &figures->month, figures->now_wall_ms);
}

int64_t ratelimit_bucket(const struct quota_figures *figures)
{
        return figures->level > 0 ? (int64_t)figures->level : 0;
}
