/*
 * Tests of access/quota.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "access/quota.h"

#define HOUR_MS  INT64_C(3600000)
#define DAY_S    INT64_C(86400)
#define NEVER_MS INT64_C(1000000000000)

/* A moment on both clocks, by the wall clock's date such as "2026-11-22 16:05:00". */
static struct quota_time at(const char *date)
{
        struct tm parts = {0};
        const char *end = strptime(date, "%Y-%m-%d %H:%M:%S", &parts);

        assert_true(end && *end == '\0');
        int64_t wall_ms = (int64_t)timegm(&parts) * 1000;
        return (struct quota_time){.wall_ms = wall_ms, .monotonic_ms = wall_ms - NEVER_MS};
}

static struct quota_time later(struct quota_time now, int64_t ms)
{
        return (struct quota_time){now.wall_ms + ms, now.monotonic_ms + ms};
}

static struct quota with_limits(double rate, int64_t burst, int64_t daily, int64_t monthly,
                                struct quota_time now)
{
        const struct quota_limits limits = {rate, burst, daily, monthly};
        struct quota quota;

        quota_init(&quota, now);
        quota_set_limits(&quota, &limits, now);
        return quota;
}

/* Reserves and settles at once. */
static enum quota_verdict charge(struct quota *quota, struct quota_time now)
{
        enum quota_verdict verdict = quota_reserve(quota, now);

        if (verdict == QUOTA_OK)
                quota_settle(quota, now.wall_ms, now);
        return verdict;
}

static struct quota_figures read_at(struct quota *quota, struct quota_time now)
{
        struct quota_figures figures;

        quota_read(quota, now, &figures);
        return figures;
}

static void without_limits_everything_is_taken_and_counted(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota;

        (void)state;
        quota_init(&quota, now);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used, 1000);
        assert_int_equal(figures.month.used, 1000);
        assert_int_equal(figures.day.limit, 0);
        assert_int_equal(figures.next_ms, 0);
}

static void what_is_used_and_reserved_never_passes_the_limit_of_the_day(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 100, 0, now);
        int taken = 0;

        (void)state;
        for (int i = 0; i < 500; i++)
                taken += quota_reserve(&quota, now) == QUOTA_OK;
        assert_int_equal(taken, 100);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        for (int i = 0; i < 97; i++)
                quota_settle(&quota, now.wall_ms, now);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used, 97);
        assert_int_equal(figures.day.reserved, 3);
        assert_int_equal(figures.day.left, 0);
}

static void what_was_not_charged_is_given_back(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 2, 0, now);

        (void)state;
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        quota_release(&quota);
        assert_int_equal(read_at(&quota, now).day.left, 1);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        assert_int_equal(read_at(&quota, now).day.used, 0);
}

static void a_refusal_takes_nothing_from_any_limit(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1, 2, 1, 0, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        for (int i = 0; i < 10; i++)
                assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal((int)figures.level, 1);
        assert_int_equal(figures.day.reserved, 0);

        quota = with_limits(1, 1, 10, 10, now);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        for (int i = 0; i < 10; i++)
                assert_int_equal(quota_reserve(&quota, now), QUOTA_RATE);
        figures = read_at(&quota, now);
        assert_int_equal(figures.day.left, 9);
        assert_int_equal(figures.month.left, 9);
}

static void the_limit_that_lasts_longest_is_named(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1, 1, 1, 1, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_MONTHLY);
        quota = with_limits(1, 1, 1, 2, now);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        quota = with_limits(1, 1, 2, 2, now);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_RATE);
}

static void a_day_renews_at_midnight_utc_and_not_a_moment_earlier(void **state)
{
        struct quota_time now = at("2026-11-22 23:59:59"), midnight = at("2026-11-23 00:00:00");
        struct quota quota = with_limits(0, 0, 1, 0, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, later(midnight, -1)), QUOTA_DAILY);
        assert_int_equal(charge(&quota, midnight), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, midnight), QUOTA_DAILY);
        assert_int_equal(read_at(&quota, midnight).month.used, 2);
}

static void a_month_renews_with_its_first_day(void **state)
{
        static const struct {
                const char *last, *first;
        } cases[] = {
                {"2026-11-30 23:59:59", "2026-12-01 00:00:00"},
                {"2026-12-31 23:59:59", "2027-01-01 00:00:00"},
                {"2027-02-28 23:59:59", "2027-03-01 00:00:00"},
                {"2028-02-29 23:59:59", "2028-03-01 00:00:00"},
                {"2100-02-28 23:59:59", "2100-03-01 00:00:00"},
                {"2000-02-29 23:59:59", "2000-03-01 00:00:00"},
                {"1969-12-31 23:59:59", "1970-01-01 00:00:00"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct quota_time last = at(cases[i].last), first = at(cases[i].first);
                struct quota quota = with_limits(0, 0, 0, 1, last);
                assert_int_equal(charge(&quota, last), QUOTA_OK);
                assert_int_equal(quota_reserve(&quota, later(first, -1)), QUOTA_MONTHLY);
                assert_int_equal(read_at(&quota, last).month.renews_wall_ms, first.wall_ms);
                assert_int_equal(read_at(&quota, last).day.renews_wall_ms, first.wall_ms);
                assert_int_equal(charge(&quota, first), QUOTA_OK);
        }
}

static void the_29th_of_february_is_in_leap_years_only(void **state)
{
        struct quota_time now = at("2028-02-28 12:00:00");
        struct quota quota = with_limits(0, 0, 0, 1, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, at("2028-02-29 12:00:00")), QUOTA_MONTHLY);
        assert_int_equal(read_at(&quota, now).month.length_s, 29 * DAY_S);
        now = at("2027-02-28 12:00:00");
        quota = with_limits(0, 0, 0, 1, now);
        assert_int_equal(read_at(&quota, now).month.length_s, 28 * DAY_S);
}

/* Counts days and months by itself, from the calendar's rule. */
static void every_day_is_in_the_month_that_the_calendar_says(void **state)
{
        static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int64_t first = -1826; /* 1965-01-01 */

        (void)state;
        assert_int_equal(quota_month_start(at("1965-01-01 00:00:00").wall_ms), first);
        for (int month = 0; month < 12 * 250; month++) {
                int year = 1965 + month / 12;
                bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                int length = lengths[month % 12] + (leap && month % 12 == 1);
                for (int64_t day = first; day < first + length; day++) {
                        struct quota_time now = {.wall_ms = day * QUOTA_DAY_MS};
                        struct quota quota;
                        assert_int_equal(quota_month_start(now.wall_ms), first);
                        assert_int_equal(quota_month_start(now.wall_ms + QUOTA_DAY_MS - 1), first);
                        quota_init(&quota, now);
                        struct quota_figures figures = read_at(&quota, now);
                        assert_int_equal(figures.month.length_s, length * DAY_S);
                        assert_int_equal(figures.month.renews_wall_ms,
                                         (first + length) * QUOTA_DAY_MS);
                        assert_int_equal(figures.day.renews_wall_ms, (day + 1) * QUOTA_DAY_MS);
                        assert_int_equal(figures.day.length_s, DAY_S);
                }
                first += length;
        }
}

static void a_charge_belongs_to_the_day_of_its_sending(void **state)
{
        struct quota_time sent = at("2026-11-22 23:59:50"), now = at("2026-11-23 00:00:10");
        struct quota quota = with_limits(0, 0, 10, 10, sent);

        (void)state;
        assert_int_equal(quota_reserve(&quota, sent), QUOTA_OK);
        assert_int_equal(read_at(&quota, now).day.reserved, 1);
        quota_settle(&quota, sent.wall_ms, now);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used, 0);
        assert_int_equal(figures.day.left, 10);
        assert_int_equal(figures.month.used, 1);
        assert_int_equal(figures.month.left, 9);
}

static void a_charge_of_last_month_counts_in_neither_window(void **state)
{
        struct quota_time sent = at("2026-11-30 23:59:50"), now = at("2026-12-01 00:00:10");
        struct quota quota = with_limits(0, 0, 10, 10, sent);

        (void)state;
        assert_int_equal(quota_reserve(&quota, sent), QUOTA_OK);
        quota_settle(&quota, sent.wall_ms, now);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used + figures.month.used, 0);
        assert_int_equal(figures.month.left, 10);
}

static void what_was_reserved_yesterday_and_sent_today_counts_today(void **state)
{
        struct quota_time taken = at("2026-11-30 23:00:00"), sent = at("2026-12-01 00:00:00");
        struct quota quota = with_limits(0, 0, 1, 1, taken);

        (void)state;
        assert_int_equal(quota_reserve(&quota, taken), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, sent), QUOTA_MONTHLY);
        quota_settle(&quota, sent.wall_ms, later(sent, 500));
        assert_int_equal(quota_reserve(&quota, later(sent, 500)), QUOTA_MONTHLY);
        assert_int_equal(read_at(&quota, sent).day.used, 1);
}

static void a_clock_that_is_set_back_renews_nothing(void **state)
{
        struct quota_time now = at("2026-12-01 12:00:00"), back = at("2026-11-30 12:00:00");
        struct quota quota = with_limits(0, 0, 2, 3, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, back), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, back), QUOTA_DAILY);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        struct quota_figures figures = read_at(&quota, back);
        assert_int_equal(figures.day.used, 2);
        assert_int_equal(figures.month.used, 2);
        assert_int_equal(figures.day.renews_wall_ms, at("2026-12-02 00:00:00").wall_ms);
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_DAILY), 36 * 3600);
        now = at("2026-12-02 00:00:00");
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_MONTHLY);
}

static void a_clock_that_was_far_ahead_keeps_no_limit_from_renewing(void **state)
{
        struct quota_time ahead = at("2036-02-07 06:28:16"), now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 1, 0, ahead);

        (void)state;
        assert_int_equal(charge(&quota, ahead), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_DAILY);
        assert_int_equal(read_at(&quota, now).day.renews_wall_ms,
                         at("2026-11-23 00:00:00").wall_ms);
        assert_int_equal(charge(&quota, at("2026-11-23 00:00:00")), QUOTA_OK);
}

static void what_a_clock_far_ahead_has_written_is_passed_over(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 1, 0, now);

        (void)state;
        quota_restore(&quota, at("2036-02-07 06:28:16").wall_ms / QUOTA_DAY_MS, 5, now);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
}

static void a_charge_counts_where_the_clock_went_back_after_its_sending(void **state)
{
        struct quota_time sent = at("2026-11-30 23:59:00"), now = at("2026-12-01 00:00:00");
        struct quota quota = with_limits(0, 0, 10, 10, now);

        (void)state;
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        quota_settle(&quota, now.wall_ms, sent);
        assert_int_equal(read_at(&quota, now).day.used, 1);
        assert_int_equal(read_at(&quota, now).month.used, 1);
}

static void a_charge_counts_that_was_sent_by_a_clock_that_was_ahead(void **state)
{
        struct quota_time now = at("2026-11-30 12:00:00"), ahead = at("2026-12-01 12:00:00");
        struct quota quota = with_limits(0, 0, 1, 1, now);

        (void)state;
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        quota_settle(&quota, ahead.wall_ms, now);
        assert_int_equal(read_at(&quota, now).day.used, 1);
        assert_int_equal(read_at(&quota, now).month.used, 1);
}

static void a_clock_that_is_set_ahead_renews_at_once(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00"), ahead = at("2027-03-05 00:00:00");
        struct quota quota = with_limits(0, 0, 1, 1, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, ahead), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, ahead), QUOTA_MONTHLY);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_MONTHLY);
}

static void the_bucket_gives_its_burst_and_then_its_rate(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(5, 10, 0, 0, now);

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        for (int i = 0; i < 1000; i++) {
                assert_int_equal(charge(&quota, now), QUOTA_RATE);
                assert_int_equal(read_at(&quota, now).next_ms, 200);
                assert_int_equal(charge(&quota, later(now, 199)), QUOTA_RATE);
                assert_int_equal(read_at(&quota, later(now, 199)).next_ms, 1);
                now = later(now, 200);
                assert_int_equal(read_at(&quota, now).next_ms, 0);
                assert_int_equal((int)read_at(&quota, now).level, 1);
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        }
        assert_int_equal(read_at(&quota, now).full_ms, 2000);
        assert_int_equal(read_at(&quota, later(now, 1999)).full_ms, 1);
        assert_int_equal(read_at(&quota, later(now, 2000)).full_ms, 0);
        assert_int_equal((int)read_at(&quota, later(now, 2000)).level, 10);
}

static void the_bucket_never_holds_more_than_its_burst(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1000, 3, 0, 0, now);

        (void)state;
        now = later(now, 1000 * HOUR_MS);
        assert_true(read_at(&quota, now).level == 3);
        for (int i = 0; i < 3; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_RATE);
}

static void the_bucket_does_not_care_for_the_wall_clock(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1, 1, 0, 0, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        now.wall_ms += 100 * HOUR_MS;
        assert_int_equal(charge(&quota, now), QUOTA_RATE);
        now.wall_ms -= 200 * HOUR_MS;
        now.monotonic_ms += 1000;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
}

static void a_clock_read_a_moment_ago_fills_and_empties_nothing(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00"), ago = later(now, -500);
        struct quota quota = with_limits(1, 2, 0, 0, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal((int)read_at(&quota, ago).level, 1);
        assert_int_equal(charge(&quota, ago), QUOTA_OK);
        assert_int_equal(charge(&quota, later(now, 999)), QUOTA_RATE);
        assert_int_equal(charge(&quota, later(now, 1000)), QUOTA_OK);
}

static void a_tiny_rate_waits_for_days_and_a_large_one_for_nothing(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1e-5, 1, 0, 0, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        int64_t next_ms = read_at(&quota, now).next_ms;
        assert_int_equal(next_ms, 100000000);
        /* Looking at it a thousand times loses nothing. */
        for (int i = 0; i < 1000; i++)
                assert_int_equal(charge(&quota, later(now, i * next_ms / 1000)), QUOTA_RATE);
        assert_int_equal(charge(&quota, later(now, next_ms - 1)), QUOTA_RATE);
        assert_int_equal(charge(&quota, later(now, next_ms)), QUOTA_OK);

        quota = with_limits(1e6, 1000000, 0, 0, now);
        for (int i = 0; i < 1000000; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_RATE);
        assert_int_equal(read_at(&quota, now).next_ms, 1);
        assert_int_equal(read_at(&quota, now).full_ms, 1000);
        now = later(now, 1);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_RATE);

        quota = with_limits(1e-300, 1, 0, 0, now);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_true(read_at(&quota, now).next_ms > INT64_C(1) << 50);
}

static void nothing_gives_back_what_a_job_took_from_the_bucket(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1, 1, 10, 10, now);

        (void)state;
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        quota_release(&quota);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_RATE);
}

static void a_job_that_was_taken_long_ago_is_reserved_without_the_bucket(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1, 1, 3, 0, now);

        (void)state;
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve_again(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve_again(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve_again(&quota, now), QUOTA_DAILY);
        assert_int_equal(read_at(&quota, now).day.reserved, 3);
        assert_int_equal(quota_reserve_again(&quota, at("2026-11-23 00:00:00")), QUOTA_DAILY);
}

static void what_was_reserved_before_a_restart_is_reserved_beyond_any_limit(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 1, 1, now);

        (void)state;
        for (int i = 0; i < 3; i++)
                quota_reserve_always(&quota);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.reserved, 3);
        assert_int_equal(figures.day.left, 0);
        assert_int_equal(figures.month.left, 0);
        quota_release(&quota);
        quota_release(&quota);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_MONTHLY);
        quota_release(&quota);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
}

static void what_the_ledger_says_counts_in_its_day_and_month(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        int64_t today = now.wall_ms / QUOTA_DAY_MS, first = quota_month_start(now.wall_ms);
        struct quota quota = with_limits(0, 0, 100, 1000, now);

        (void)state;
        quota_restore(&quota, first - 1, 10000, now);
        quota_restore(&quota, first, 500, now);
        quota_restore(&quota, today - 1, 300, now);
        quota_restore(&quota, today, 40, now);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used, 40);
        assert_int_equal(figures.day.left, 60);
        assert_int_equal(figures.month.used, 840);
        assert_int_equal(figures.month.left, 160);
}

static void what_a_clock_that_was_ahead_has_written_counts_now(void **state)
{
        struct quota_time now = at("2026-11-30 16:05:00");
        int64_t today = now.wall_ms / QUOTA_DAY_MS;
        struct quota quota = with_limits(0, 0, 100, 1000, now);

        (void)state;
        quota_restore(&quota, today + 1, 7, now);
        assert_int_equal(read_at(&quota, now).day.used, 7);
        assert_int_equal(read_at(&quota, now).month.used, 7);
        assert_int_equal(read_at(&quota, later(now, QUOTA_DAY_MS)).day.used, 0);
}

static void new_limits_hold_at_once_and_forget_nothing(void **state)
{
        static const struct quota_limits less = {0, 0, 5, 0}, more = {0, 0, 12, 0};
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 10, 0, now);

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        quota_set_limits(&quota, &less, now);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used, 10);
        assert_int_equal(figures.day.left, 0);
        quota_set_limits(&quota, &more, now);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_DAILY);
}

static void a_bucket_keeps_its_level_under_new_limits_and_a_new_one_is_full(void **state)
{
        static const struct quota_limits slow = {1, 10, 0, 0}, fast = {100, 10, 0, 0},
                                         small = {1, 2, 0, 0}, none = {0, 0, 0, 0};
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(1, 10, 0, 0, now);

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        /* What passed by then was filled at the old rate. */
        now = later(now, 4000);
        quota_set_limits(&quota, &fast, now);
        assert_int_equal((int)read_at(&quota, now).level, 4);
        quota_set_limits(&quota, &slow, later(now, 20));
        assert_int_equal((int)read_at(&quota, later(now, 20)).level, 6);
        quota_set_limits(&quota, &small, later(now, 20));
        assert_int_equal((int)read_at(&quota, later(now, 20)).level, 2);
        quota_set_limits(&quota, &slow, later(now, 20));
        assert_int_equal((int)read_at(&quota, later(now, 20)).level, 2);
        quota_set_limits(&quota, &none, later(now, 20));
        quota_set_limits(&quota, &slow, later(now, 20));
        assert_int_equal((int)read_at(&quota, later(now, 20)).level, 10);
}

static void a_refusal_says_when_to_come_again(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0.4, 1, 10, 10, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.next_ms, 2500);
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_OK), 1);
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_RATE), 3);
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_DAILY), 7 * 3600 + 55 * 60);
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_MONTHLY),
                         8 * DAY_S + 7 * 3600 + 55 * 60);
        figures = read_at(&quota, later(now, 1500));
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_RATE), 1);
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_DAILY), 7 * 3600 + 55 * 60 - 1);
        figures = read_at(&quota, later(now, 2500));
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_RATE), 1);
        figures = read_at(&quota, later(at("2026-11-23 00:00:00"), -1));
        assert_int_equal(quota_retry_after_s(&figures, QUOTA_DAILY), 1);
}

static void a_message_says_which_limit_how_much_is_used_and_when_it_renews(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(5, 10, 100, 1, now);
        char message[QUOTA_MESSAGE_BYTES_MAX];

        (void)state;
        quota_restore(&quota, now.wall_ms / QUOTA_DAY_MS, 97, now);
        for (int i = 0; i < 3; i++)
                quota_reserve_always(&quota);
        struct quota_figures figures = read_at(&quota, now);
        quota_explain(&figures, QUOTA_DAILY, message);
        assert_string_equal(message, "the daily limit of 100 jobs is used up: 97 used, 3 reserved "
                                     "for jobs under way; it renews at 2026-11-23T00:00:00Z");
        quota_explain(&figures, QUOTA_MONTHLY, message);
        assert_string_equal(message, "the monthly limit of 1 job is used up: 97 used, 3 reserved "
                                     "for jobs under way; it renews at 2026-12-01T00:00:00Z");
        figures.next_ms = 101;
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(message, "more than 5 jobs in a second (burst 10); the next one may "
                                     "come in 0.2 s");
        figures.limits.rate = 0.5;
        figures.limits.burst = 1;
        figures.next_ms = 1900;
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(message, "more than 0.5 jobs in a second (burst 1); the next one may "
                                     "come in 1.9 s");
        figures.limits.rate = 1;
        figures.next_ms = 0;
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(message, "more than 1 job in a second (burst 1); the next one may "
                                     "come in 0.1 s");
}

static void the_longest_message_is_whole(void **state)
{
        struct quota_figures figures = {
                .limits = {.rate = 1.23456789e-300, .burst = INT64_MAX},
                .day = {.limit = INT64_MAX,
                        .used = INT64_MAX,
                        .reserved = INT64_MAX,
                        .renews_wall_ms = at("9999-12-31 00:00:00").wall_ms},
                .next_ms = INT64_MAX,
        };
        char message[QUOTA_MESSAGE_BYTES_MAX];

        (void)state;
        quota_explain(&figures, QUOTA_DAILY, message);
        assert_non_null(strstr(message, "at 9999-12-31T00:00:00Z"));
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(message + strlen(message) - 2, " s");
}

/* xorshift64: the same walk every time. */
static uint64_t walk = UINT64_C(0x2545f4914f6cdd1d);

static int64_t below(int64_t bound)
{
        walk ^= walk << 13;
        walk ^= walk >> 7;
        walk ^= walk << 17;
        return (int64_t)(walk % (uint64_t)bound);
}

/* An oracle in whole numbers: one job is a million parts, rate is in jobs in 1000 s. */
static void a_bucket_agrees_with_one_in_whole_numbers(void **state)
{
        (void)state;
        for (int round = 0; round < 200; round++) {
                int64_t rate = 1 + below(round % 2 ? 20 : 200000), burst = 1 + below(20);
                struct quota_time now = at("2026-11-22 16:05:00");
                struct quota quota = with_limits((double)rate / 1e3, burst, 0, 0, now);
                int64_t parts = burst * 1000000;
                for (int step = 0; step < 2000; step++) {
                        int64_t pause = below(4) ? below(3) : below(3 * 1000000 / rate + 2);
                        now = later(now, pause);
                        parts += pause * rate;
                        if (parts > burst * 1000000)
                                parts = burst * 1000000;
                        int64_t missing = parts < 1000000 ? 1000000 - parts : 0;
                        struct quota_figures figures = read_at(&quota, now);
                        assert_int_equal((int64_t)figures.level, parts / 1000000);
                        assert_int_equal(figures.next_ms, (missing + rate - 1) / rate);
                        assert_int_equal(figures.full_ms,
                                         (burst * 1000000 - parts + rate - 1) / rate);
                        enum quota_verdict verdict = charge(&quota, now);
                        assert_int_equal(verdict, missing ? QUOTA_RATE : QUOTA_OK);
                        if (verdict == QUOTA_OK)
                                parts -= 1000000;
                }
        }
}

/* What the oracle of the windows knows: every charge by itself, and what is under way. */
#define CHARGES_MAX 20000

struct book {
        int64_t sent_day[CHARGES_MAX];
        int charges;
        int reserved;
};

static int used_since(const struct book *book, int64_t day)
{
        int used = 0;

        for (int i = 0; i < book->charges; i++)
                used += book->sent_day[i] >= day;
        return used;
}

static void settle_some(struct quota *quota, struct book *book, struct quota_time now)
{
        int64_t sent_wall_ms = now.wall_ms - below(30 * HOUR_MS);

        if (book->reserved == 0)
                return;
        book->reserved--;
        if (below(4) == 0) {
                quota_release(quota);
                return;
        }
        quota_settle(quota, sent_wall_ms, now);
        book->sent_day[book->charges++] = sent_wall_ms / QUOTA_DAY_MS;
}

/* Reads every charge of the book into a new quota, as a start does. */
static struct quota restart(const struct book *book, const struct quota *old, struct quota_time now)
{
        struct quota quota;

        quota_init(&quota, now);
        for (int i = 0; i < book->charges; i++)
                quota_restore(&quota, book->sent_day[i], 1, now);
        for (int i = 0; i < book->reserved; i++)
                quota_reserve_always(&quota);
        quota_set_limits(&quota, &old->limits, now);
        return quota;
}

static void windows_agree_with_a_book_of_all_charges_across_restarts(void **state)
{
        static struct book book;
        const int64_t daily = 20, monthly = 300;
        struct quota_time now = at("2027-12-20 00:00:00");
        struct quota quota = with_limits(0, 0, daily, monthly, now);
        int verdicts[QUOTA_MONTHLY + 1] = {0};

        (void)state;
        for (int step = 0; step < 20000; step++) {
                now = later(now, below(HOUR_MS));
                int today = used_since(&book, now.wall_ms / QUOTA_DAY_MS);
                int month = used_since(&book, quota_month_start(now.wall_ms));
                struct quota_figures figures = read_at(&quota, now);
                assert_int_equal(figures.day.used, today);
                assert_int_equal(figures.month.used, month);
                assert_int_equal(figures.day.reserved, book.reserved);
                assert_true(figures.day.used + figures.day.reserved <= daily);
                assert_true(figures.month.used + figures.month.reserved <= monthly);
                enum quota_verdict expected = month + book.reserved >= monthly ? QUOTA_MONTHLY
                                              : today + book.reserved >= daily ? QUOTA_DAILY
                                                                               : QUOTA_OK;
                if (below(2) == 0) {
                        assert_int_equal(quota_reserve(&quota, now), expected);
                        verdicts[expected]++;
                        book.reserved += expected == QUOTA_OK;
                } else {
                        settle_some(&quota, &book, now);
                }
                if (below(500) == 0)
                        quota = restart(&book, &quota, now);
        }
        assert_true(verdicts[QUOTA_OK] > 100 && verdicts[QUOTA_DAILY] > 100 &&
                    verdicts[QUOTA_MONTHLY] > 100);
}

/* However the wall clock jumps, nothing more than a limit is given before it renews; and it renews
 * by going forward only. */
static void a_clock_that_jumps_about_gives_no_day_twice(void **state)
{
        const int64_t daily = 10, monthly = 25;
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, daily, monthly, now);
        int64_t day = quota.day, month = quota.month, of_day = 0, of_month = 0;

        (void)state;
        for (int step = 0; step < 200000; step++) {
                now.monotonic_ms += 1;
                now.wall_ms += below(40) ? below(HOUR_MS / 4) : below(60 * HOUR_MS) - 32 * HOUR_MS;
                enum quota_verdict verdict = charge(&quota, now);
                of_day = quota.day > day ? 0 : of_day;
                of_month = quota.month > month ? 0 : of_month;
                day = quota.day;
                month = quota.month;
                assert_true(quota_month_start(day * QUOTA_DAY_MS) <= day);
                if (verdict == QUOTA_OK) {
                        of_day++;
                        of_month++;
                }
                assert_true(of_day <= daily && of_month <= monthly);
                assert_int_equal(quota.used_today, of_day);
                assert_int_equal(quota.used_this_month, of_month);
        }
        assert_true(day > at("2027-02-01 00:00:00").wall_ms / QUOTA_DAY_MS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_limits_everything_is_taken_and_counted),
                cmocka_unit_test(what_is_used_and_reserved_never_passes_the_limit_of_the_day),
                cmocka_unit_test(what_was_not_charged_is_given_back),
                cmocka_unit_test(a_refusal_takes_nothing_from_any_limit),
                cmocka_unit_test(the_limit_that_lasts_longest_is_named),
                cmocka_unit_test(a_day_renews_at_midnight_utc_and_not_a_moment_earlier),
                cmocka_unit_test(a_month_renews_with_its_first_day),
                cmocka_unit_test(the_29th_of_february_is_in_leap_years_only),
                cmocka_unit_test(every_day_is_in_the_month_that_the_calendar_says),
                cmocka_unit_test(a_charge_belongs_to_the_day_of_its_sending),
                cmocka_unit_test(a_charge_of_last_month_counts_in_neither_window),
                cmocka_unit_test(what_was_reserved_yesterday_and_sent_today_counts_today),
                cmocka_unit_test(a_clock_that_is_set_back_renews_nothing),
                cmocka_unit_test(a_clock_that_was_far_ahead_keeps_no_limit_from_renewing),
                cmocka_unit_test(what_a_clock_far_ahead_has_written_is_passed_over),
                cmocka_unit_test(a_charge_counts_where_the_clock_went_back_after_its_sending),
                cmocka_unit_test(a_charge_counts_that_was_sent_by_a_clock_that_was_ahead),
                cmocka_unit_test(a_clock_that_is_set_ahead_renews_at_once),
                cmocka_unit_test(the_bucket_gives_its_burst_and_then_its_rate),
                cmocka_unit_test(the_bucket_never_holds_more_than_its_burst),
                cmocka_unit_test(the_bucket_does_not_care_for_the_wall_clock),
                cmocka_unit_test(a_clock_read_a_moment_ago_fills_and_empties_nothing),
                cmocka_unit_test(a_tiny_rate_waits_for_days_and_a_large_one_for_nothing),
                cmocka_unit_test(nothing_gives_back_what_a_job_took_from_the_bucket),
                cmocka_unit_test(a_job_that_was_taken_long_ago_is_reserved_without_the_bucket),
                cmocka_unit_test(what_was_reserved_before_a_restart_is_reserved_beyond_any_limit),
                cmocka_unit_test(what_the_ledger_says_counts_in_its_day_and_month),
                cmocka_unit_test(what_a_clock_that_was_ahead_has_written_counts_now),
                cmocka_unit_test(new_limits_hold_at_once_and_forget_nothing),
                cmocka_unit_test(a_bucket_keeps_its_level_under_new_limits_and_a_new_one_is_full),
                cmocka_unit_test(a_refusal_says_when_to_come_again),
                cmocka_unit_test(a_message_says_which_limit_how_much_is_used_and_when_it_renews),
                cmocka_unit_test(the_longest_message_is_whole),
                cmocka_unit_test(a_bucket_agrees_with_one_in_whole_numbers),
                cmocka_unit_test(windows_agree_with_a_book_of_all_charges_across_restarts),
                cmocka_unit_test(a_clock_that_jumps_about_gives_no_day_twice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
