/*
 * quota: see quota.h.
 *
 * The wall clock may jump. Forward, a new day or month begins at once, and with it a new count.
 * Backward by a day, the count stays in the day that it had reached, and everything that is settled
 * counts in it until the clock is there again: so a clock that is set back and forth gives nobody a
 * day twice, but for what is sent while it is behind and settled when it no longer is. Backward by
 * more, the clock was wrong: the count goes on in the right day with what it has, so that limits
 * renew when they should.
 *
 * The bucket runs by the monotonic clock, which another thread may have read a moment earlier than
 * the bucket was last changed; that counts as no time.
 */
#include "access/quota.h"

#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define DAY_S           (QUOTA_DAY_MS / 1000)
#define MONTHS_PER_YEAR 12

#define AHEAD_DAYS_MAX 1 /* how far the clock may have been ahead of what it says now */

/* What rounding may lack of one job; far below what a bucket gains in a millisecond. */
#define ROUNDING 1e-9

#define WAIT_MAX_MS (INT64_C(1) << 53) /* beyond this a double is no exact integer */

/* Rounds up. Requires a divisor above 0. */
static int64_t divide_up(int64_t value, int64_t divisor)
{
        return value / divisor + (value % divisor > 0);
}

/* Days since 1970 (UTC). */
static int64_t day_of(int64_t wall_ms)
{
        int64_t day = wall_ms / QUOTA_DAY_MS;

        return wall_ms % QUOTA_DAY_MS < 0 ? day - 1 : day;
}

/* Months since 1970. */
static int64_t month_of(int64_t day)
{
        time_t moment = day * DAY_S;
        struct tm date = {0};

        (void)gmtime_r(&moment, &date);
        return ((int64_t)date.tm_year - 70) * MONTHS_PER_YEAR + date.tm_mon;
}

/* The first day of a month. */
static int64_t first_day(int64_t month)
{
        /* timegm(3) makes years of what months are too many. */
        struct tm date = {.tm_year = 70, .tm_mon = (int)month, .tm_mday = 1};

        return timegm(&date) / DAY_S;
}

int64_t quota_month_start(int64_t wall_ms)
{
        return first_day(month_of(day_of(wall_ms)));
}

struct quota_time quota_now(void)
{
        return (struct quota_time){
                .wall_ms = clock_wall_ms(),
                .monotonic_ms = clock_monotonic_ms(),
        };
}

void quota_init(struct quota *quota, struct quota_time now)
{
        int64_t day = day_of(now.wall_ms);

        *quota = (struct quota){
                .day = day,
                .month = month_of(day),
                .filled_ms = now.monotonic_ms,
        };
}

/* Begins a new day and month where their time has come. */
static void renew(struct quota *quota, struct quota_time now)
{
        int64_t day = day_of(now.wall_ms);

        if (day < quota->day - AHEAD_DAYS_MAX) {
                quota->day = day;
                quota->month = month_of(day);
        }
        if (day <= quota->day)
                return;
        quota->day = day;
        quota->used_today = day == quota->coming_day ? quota->coming_used : 0;
        int64_t month = month_of(day);
        if (month > quota->month) {
                quota->month = month;
                quota->used_this_month =
                        month == month_of(quota->coming_day) ? quota->coming_used : 0;
        }
}

/* What is in the bucket. It is worked out afresh from the last change, so that rounding adds up
 * over jobs only, not over looks. */
static double level_at(const struct quota *quota, int64_t monotonic_ms)
{
        double burst = (double)quota->limits.burst;
        double level = quota->level;

        if (monotonic_ms > quota->filled_ms)
                level += (double)(monotonic_ms - quota->filled_ms) * quota->limits.rate / 1e3;
        return level < burst ? level : burst;
}

/* Until the bucket, which holds level, holds wanted. 0: it does. */
static int64_t wait_ms(const struct quota *quota, double level, double wanted)
{
        double missing = wanted - (level + ROUNDING);

        if (missing <= 0)
                return 0;
        double exact = missing * 1e3 / quota->limits.rate;
        if (exact >= (double)WAIT_MAX_MS)
                return WAIT_MAX_MS;
        int64_t whole = (int64_t)exact;
        return (double)whole < exact ? whole + 1 : whole;
}

static void set_level(struct quota *quota, double level, int64_t monotonic_ms)
{
        quota->level = level;
        if (monotonic_ms > quota->filled_ms)
                quota->filled_ms = monotonic_ms;
}

void quota_set_limits(struct quota *quota, const struct quota_limits *limits, struct quota_time now)
{
        double burst = (double)limits->burst;
        double level = quota->limits.rate > 0 ? level_at(quota, now.monotonic_ms) : burst;

        set_level(quota, level < burst ? level : burst, now.monotonic_ms);
        quota->limits = *limits;
}

static bool is_used_up(const struct quota *quota, int64_t limit, int64_t used)
{
        return limit > 0 && used + quota->reserved >= limit;
}

/* The limits in the order of how long they last: there is no use in coming again before. */
static enum quota_verdict check_limits(const struct quota *quota)
{
        if (is_used_up(quota, quota->limits.monthly, quota->used_this_month))
                return QUOTA_MONTHLY;
        if (is_used_up(quota, quota->limits.daily, quota->used_today))
                return QUOTA_DAILY;
        return QUOTA_OK;
}

enum quota_verdict quota_reserve(struct quota *quota, struct quota_time now)
{
        renew(quota, now);
        enum quota_verdict verdict = check_limits(quota);
        if (verdict != QUOTA_OK)
                return verdict;
        if (quota->limits.rate > 0) {
                double level = level_at(quota, now.monotonic_ms);
                if (wait_ms(quota, level, 1) > 0)
                        return QUOTA_RATE;
                set_level(quota, level - 1, now.monotonic_ms);
        }
        quota->reserved++;
        return QUOTA_OK;
}

enum quota_verdict quota_reserve_again(struct quota *quota, struct quota_time now)
{
        renew(quota, now);
        enum quota_verdict verdict = check_limits(quota);
        if (verdict == QUOTA_OK)
                quota->reserved++;
        return verdict;
}

void quota_reserve_always(struct quota *quota)
{
        quota->reserved++;
}

void quota_release(struct quota *quota)
{
        assert(quota->reserved > 0);
        quota->reserved--;
}

/*
 * Whether what was sent in one period, a day or a month, counts in the current one. While the clock
 * is behind that one, nobody can tell, so it does.
 */
static bool counts(int64_t sent, int64_t now, int64_t current)
{
        return sent >= current || now < current;
}

void quota_settle(struct quota *quota, int64_t sent_wall_ms, struct quota_time now)
{
        int64_t sent = day_of(sent_wall_ms), today = day_of(now.wall_ms);

        renew(quota, now);
        quota_release(quota);
        if (counts(sent, today, quota->day))
                quota->used_today++;
        if (counts(month_of(sent), month_of(today), quota->month))
                quota->used_this_month++;
}

/* Of a day to come, its part is kept for when it begins. */
static void note_coming(struct quota *quota, int64_t day, int64_t count)
{
        if (day != quota->coming_day)
                quota->coming_used = 0;
        quota->coming_day = day;
        quota->coming_used += count;
}

void quota_restore(struct quota *quota, int64_t day, int64_t count, struct quota_time now)
{
        renew(quota, now);
        /* A day to come: the clock was ahead, or is behind now, as that of a machine can be which
         * has just been started. What was sent today may have counted in that one before the start,
         * so both count until it begins. A day far ahead says nothing. */
        if (day > quota->day + AHEAD_DAYS_MAX)
                return;
        if (day > quota->day)
                note_coming(quota, day, count);
        if (day >= quota->day)
                quota->used_today += count;
        if (month_of(day) >= quota->month)
                quota->used_this_month += count;
}

/* A window whose days are from first to just before next. */
static struct quota_window window(const struct quota *quota, int64_t limit, int64_t used,
                                  int64_t first, int64_t next)
{
        int64_t left = limit - used - quota->reserved;

        return (struct quota_window){
                .limit = limit,
                .used = used,
                .reserved = quota->reserved,
                .left = left > 0 ? left : 0,
                .renews_wall_ms = next * QUOTA_DAY_MS,
                .length_s = (next - first) * DAY_S,
        };
}

void quota_read(struct quota *quota, struct quota_time now, struct quota_figures *ret_figures)
{
        const struct quota_limits *limits = &quota->limits;

        renew(quota, now);
        *ret_figures = (struct quota_figures){
                .limits = *limits,
                .day = window(quota, limits->daily, quota->used_today, quota->day, quota->day + 1),
                .month = window(quota, limits->monthly, quota->used_this_month,
                                first_day(quota->month), first_day(quota->month + 1)),
                .now_wall_ms = now.wall_ms,
        };
        if (limits->rate > 0) {
                double level = level_at(quota, now.monotonic_ms), burst = (double)limits->burst;

                ret_figures->next_ms = wait_ms(quota, level, 1);
                ret_figures->full_ms = wait_ms(quota, level, burst);
                /* Whole jobs can be had, so that who rounds down finds as many as there are. */
                level += ROUNDING;
                ret_figures->level = level < 0 ? 0 : level < burst ? level : burst;
        }
}

int64_t quota_retry_after_s(const struct quota_figures *figures, enum quota_verdict verdict)
{
        int64_t wait = 0;

        switch (verdict) {
        case QUOTA_OK:
                break;
        case QUOTA_RATE:
                wait = figures->next_ms;
                break;
        case QUOTA_DAILY:
                wait = figures->day.renews_wall_ms - figures->now_wall_ms;
                break;
        case QUOTA_MONTHLY:
                wait = figures->month.renews_wall_ms - figures->now_wall_ms;
                break;
        }
        return wait > 1000 ? divide_up(wait, 1000) : 1;
}

static void explain_rate(const struct quota_figures *figures,
                         char ret_message[static QUOTA_MESSAGE_BYTES_MAX])
{
        /* In tenths, and never none: who comes at once is refused again. */
        int64_t tenths = figures->next_ms > 0 ? divide_up(figures->next_ms, 100) : 1;

        (void)snprintf(ret_message, QUOTA_MESSAGE_BYTES_MAX,
                       "more than %g job%s in a second (burst %" PRId64
                       "); the next one may come in %" PRId64 ".%" PRId64 " s",
                       figures->limits.rate, figures->limits.rate == 1 ? "" : "s",
                       figures->limits.burst, tenths / 10, tenths % 10);
}

static void explain_window(const struct quota_window *window, const char *name,
                           char ret_message[static QUOTA_MESSAGE_BYTES_MAX])
{
        char renews[sizeof "-9223372036854775808-12-31T23:59:59Z"] = "";
        time_t moment = window->renews_wall_ms / 1000;
        struct tm date = {0};

        (void)gmtime_r(&moment, &date);
        (void)strftime(renews, sizeof renews, "%Y-%m-%dT%H:%M:%SZ", &date);
        (void)snprintf(ret_message, QUOTA_MESSAGE_BYTES_MAX,
                       "the %s limit of %" PRId64 " job%s is used up: %" PRId64 " used, %" PRId64
                       " reserved for jobs under way; it renews at %s",
                       name, window->limit, window->limit == 1 ? "" : "s", window->used,
                       window->reserved, renews);
}

void quota_explain(const struct quota_figures *figures, enum quota_verdict verdict,
                   char ret_message[static QUOTA_MESSAGE_BYTES_MAX])
{
        switch (verdict) {
        case QUOTA_OK:
                (void)snprintf(ret_message, QUOTA_MESSAGE_BYTES_MAX, "no limit is reached");
                return;
        case QUOTA_RATE:
                explain_rate(figures, ret_message);
                return;
        case QUOTA_DAILY:
                explain_window(&figures->day, "daily", ret_message);
                return;
        case QUOTA_MONTHLY:
                explain_window(&figures->month, "monthly", ret_message);
                return;
        }
}
