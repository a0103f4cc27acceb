/*
 * quota: see quota.h.
 *
 * There are few days with charges, so they are a table without order, summed afresh for each
 * question: 64 additions, where a running count would have to know of every jump of the clock.
 *
 * The bucket runs by the monotonic clock, which another thread may have read a moment earlier than
 * the bucket was last changed; that counts as no time.
 */
#include "access/quota.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define DAY_S           (CLOCK_DAY_MS / 1000)
#define MONTHS_PER_YEAR 12

#define USED_MAX (INT64_MAX / (2 * QUOTA_DAYS_MAX)) /* of a day: a sum of all does not overflow */

/* What rounding may lack of one job; far below what a bucket gains in a millisecond. */
#define ROUNDING 1e-9

#define WAIT_MAX_MS (INT64_C(1) << 53) /* beyond this a double is no exact integer */

/* Rounds up. Requires a divisor above 0. */
static int64_t divide_up(int64_t value, int64_t divisor)
{
        return value / divisor + (value % divisor > 0);
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

/* The days of a month: from first to just before next. */
struct span {
        int64_t first, next;
};

static struct span month_around(int64_t day)
{
        int64_t month = month_of(day);

        return (struct span){first_day(month), first_day(month + 1)};
}

static bool is_within(struct span span, int64_t day)
{
        return day >= span.first && day < span.next;
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
        *quota = (struct quota){.filled_ms = now.monotonic_ms};
}

/* ---- days ---- */

static struct quota_day sum_of(const struct quota *quota, struct span span)
{
        struct quota_day sum = {.day = span.first};

        for (int i = 0; i < quota->days_count; i++) {
                if (is_within(span, quota->days[i].day)) {
                        sum.used += quota->days[i].used;
                        sum.reserved += quota->days[i].reserved;
                }
        }
        return sum;
}

static struct quota_day *find_day(struct quota *quota, int64_t day)
{
        for (int i = 0; i < quota->days_count; i++) {
                if (quota->days[i].day == day)
                        return &quota->days[i];
        }
        return NULL;
}

/* The earliest day that is not in the span and has no reservation; NULL: none. */
static struct quota_day *earliest_outside(struct quota *quota, struct span span)
{
        struct quota_day *earliest = NULL;

        for (int i = 0; i < quota->days_count; i++) {
                struct quota_day *day = &quota->days[i];
                if (!is_within(span, day->day) && day->reserved == 0 &&
                    (!earliest || day->day < earliest->day))
                        earliest = day;
        }
        return earliest;
}

/*
 * Makes room for a day: where the table is full, the earliest is forgotten, though none of the
 * month that around is in. Returns NULL where that is the day itself; or where so many days have
 * reservations, for which the clock must have been set to each of them while a job was waiting.
 */
static struct quota_day *add_day(struct quota *quota, int64_t day, int64_t around)
{
        struct span month = month_around(around);
        struct quota_day *place = &quota->days[quota->days_count];

        if (quota->days_count < QUOTA_DAYS_MAX) {
                quota->days_count++;
        } else {
                place = earliest_outside(quota, month);
                if (!place || (place->day > day && !is_within(month, day)))
                        return NULL;
        }
        *place = (struct quota_day){.day = day};
        return place;
}

static struct quota_day *need_day(struct quota *quota, int64_t day, int64_t around)
{
        struct quota_day *place = find_day(quota, day);

        return place ? place : add_day(quota, day, around);
}

static void count_on(struct quota *quota, int64_t day, int64_t count, int64_t around)
{
        struct quota_day *place = need_day(quota, day, around);

        if (place)
                place->used = count < USED_MAX - place->used ? place->used + count : USED_MAX;
}

/* ---- the bucket ---- */

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

/* ---- reservations ---- */

static bool is_used_up(const struct quota *quota, int64_t limit, struct span span)
{
        if (limit == 0)
                return false;
        struct quota_day sum = sum_of(quota, span);
        return sum.used + sum.reserved >= limit;
}

/* The limits in the order of how long they last: there is no use in coming again before. */
static enum quota_verdict check_limits(const struct quota *quota, int64_t day)
{
        const struct quota_limits *limits = &quota->limits;

        if (limits->monthly > 0 && is_used_up(quota, limits->monthly, month_around(day)))
                return QUOTA_MONTHLY;
        if (is_used_up(quota, limits->daily, (struct span){day, day + 1}))
                return QUOTA_DAILY;
        return QUOTA_OK;
}

enum quota_verdict quota_take(struct quota *quota, struct quota_time now)
{
        if (quota->limits.rate <= 0)
                return QUOTA_OK;
        double level = level_at(quota, now.monotonic_ms);
        if (wait_ms(quota, level, 1) > 0)
                return QUOTA_RATE;
        set_level(quota, level - 1, now.monotonic_ms);
        return QUOTA_OK;
}

enum quota_verdict quota_reserve(struct quota *quota, struct quota_time now)
{
        enum quota_verdict verdict = check_limits(quota, clock_day_of(now.wall_ms));

        if (verdict == QUOTA_OK)
                verdict = quota_take(quota, now);
        if (verdict == QUOTA_OK)
                quota_reserve_always(quota, clock_day_of(now.wall_ms));
        return verdict;
}

enum quota_verdict quota_reserve_again(struct quota *quota, struct quota_time now)
{
        enum quota_verdict verdict = check_limits(quota, clock_day_of(now.wall_ms));

        if (verdict == QUOTA_OK)
                quota_reserve_always(quota, clock_day_of(now.wall_ms));
        return verdict;
}

void quota_reserve_always(struct quota *quota, int64_t day)
{
        struct quota_day *place = need_day(quota, day, day);

        if (place)
                place->reserved++;
}

void quota_release(struct quota *quota, int64_t day)
{
        struct quota_day *place = find_day(quota, day);

        if (place && place->reserved > 0) /* else there was no room for it */
                place->reserved--;
}

void quota_settle(struct quota *quota, int64_t day)
{
        quota_release(quota, day);
        count_on(quota, day, 1, day);
}

void quota_restore(struct quota *quota, int64_t day, int64_t count, struct quota_time now)
{
        if (count > 0)
                count_on(quota, day, count, clock_day_of(now.wall_ms));
}

/* ---- figures ---- */

static struct quota_window window(const struct quota *quota, int64_t limit, struct span days)
{
        struct quota_day sum = sum_of(quota, days);
        int64_t left = limit - sum.used - sum.reserved;

        return (struct quota_window){
                .limit = limit,
                .used = sum.used,
                .reserved = sum.reserved,
                .left = left > 0 ? left : 0,
                .renews_wall_ms = days.next * CLOCK_DAY_MS,
                .length_s = (days.next - days.first) * DAY_S,
        };
}

void quota_read(const struct quota *quota, struct quota_time now, struct quota_figures *ret_figures)
{
        const struct quota_limits *limits = &quota->limits;
        int64_t day = clock_day_of(now.wall_ms);

        *ret_figures = (struct quota_figures){
                .limits = *limits,
                .day = window(quota, limits->daily, (struct span){day, day + 1}),
                .month = window(quota, limits->monthly, month_around(day)),
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
                       "at most %g job%s a second (rate; burst %" PRId64
                       "); the next one may come in %" PRId64 ".%" PRId64
                       " s; for more, the operator of solvegate can raise the rate of this client",
                       figures->limits.rate, figures->limits.rate == 1 ? "" : "s",
                       figures->limits.burst, tenths / 10, tenths % 10);
}

static void explain_window(const struct quota_window *window, const char *name,
                           char ret_message[static QUOTA_MESSAGE_BYTES_MAX])
{
        char renews[CLOCK_TEXT_BYTES];

        clock_write_s(window->renews_wall_ms, renews);
        (void)snprintf(ret_message, QUOTA_MESSAGE_BYTES_MAX,
                       "the %s limit of %" PRId64 " job%s is used up: %" PRId64 " used, %" PRId64
                       " reserved for jobs under way; it renews at %s; for more, the operator of "
                       "solvegate can raise %s_limit of this client",
                       name, window->limit, window->limit == 1 ? "" : "s", window->used,
                       window->reserved, renews, name);
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
