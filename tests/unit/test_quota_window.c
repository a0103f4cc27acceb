/*
 * Tests of access/quota: days and months, by clocks that jump too.
 */
#include "quota_fixture.h"

#include <stdbool.h>

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

static void what_a_clock_that_was_ahead_has_written_counts_until_its_day_is_over(void **state)
{
        struct quota_time now = at("2026-11-30 16:05:00");
        int64_t today = now.wall_ms / QUOTA_DAY_MS;
        struct quota quota = with_limits(0, 0, 100, 1000, now);

        (void)state;
        quota_restore(&quota, today + 1, 7, now);
        assert_int_equal(read_at(&quota, now).day.used, 7);
        assert_int_equal(read_at(&quota, now).month.used, 7);
        assert_int_equal(read_at(&quota, later(now, QUOTA_DAY_MS)).day.used, 7);
        assert_int_equal(read_at(&quota, later(now, 2 * QUOTA_DAY_MS)).day.used, 0);
        assert_int_equal(read_at(&quota, later(now, 2 * QUOTA_DAY_MS)).month.used, 7);
}

/* A machine can start with a clock that is behind, and have it set right later. */
static void a_start_with_a_clock_that_is_behind_gives_no_day_twice(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00"), right = later(now, QUOTA_DAY_MS);
        int64_t today = right.wall_ms / QUOTA_DAY_MS;
        struct quota quota = with_limits(0, 0, 100, 1000, now);

        (void)state;
        quota_restore(&quota, today - 1, 40, now);
        quota_restore(&quota, today, 99, now);
        assert_int_equal(charge(&quota, now), QUOTA_DAILY);
        assert_int_equal(charge(&quota, right), QUOTA_OK);
        assert_int_equal(charge(&quota, right), QUOTA_DAILY);
        assert_int_equal(read_at(&quota, right).month.used, 140);
        assert_int_equal(charge(&quota, later(right, QUOTA_DAY_MS)), QUOTA_OK);
}

/* What the ledger has of two days, read again by each start. */
static int charge_over_starts(int64_t daily, int64_t monthly, struct quota_time now,
                              int64_t ret_sent[static 2])
{
        int64_t day = now.wall_ms / QUOTA_DAY_MS;
        int given = 0;

        for (int i = 0; i < 5; i++) {
                struct quota quota = with_limits(0, 0, daily, monthly, now);
                quota_restore(&quota, day, ret_sent[0], now);
                quota_restore(&quota, day + 1, ret_sent[1], now);
                for (; charge(&quota, now) == QUOTA_OK; given++)
                        ret_sent[0]++;
        }
        return given;
}

static void no_start_gives_a_limit_again_where_the_clock_was_ahead(void **state)
{
        struct quota_time now = at("2026-11-30 23:05:00"), next = later(now, QUOTA_DAY_MS);
        int64_t sent[2] = {4, 1}, today = now.wall_ms / QUOTA_DAY_MS;
        struct quota quota = with_limits(0, 0, 10, 0, now);

        (void)state;
        assert_int_equal(charge_over_starts(10, 0, now, sent), 5);
        assert_int_equal(charge_over_starts(0, 20, now, sent), 10);
        /* When its day has come, what was sent in it is all that counts. */
        quota_restore(&quota, today, sent[0], now);
        quota_restore(&quota, today + 1, sent[1], now);
        assert_int_equal(read_at(&quota, next).day.used, 1);
        assert_int_equal(read_at(&quota, next).month.used, 1);
        assert_int_equal(read_at(&quota, later(next, QUOTA_DAY_MS)).day.used, 0);
        assert_int_equal(read_at(&quota, later(next, QUOTA_DAY_MS)).month.used, 1);
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
                cmocka_unit_test(a_day_renews_at_midnight_utc_and_not_a_moment_earlier),
                cmocka_unit_test(a_month_renews_with_its_first_day),
                cmocka_unit_test(the_29th_of_february_is_in_leap_years_only),
                cmocka_unit_test(every_day_is_in_the_month_that_the_calendar_says),
                cmocka_unit_test(a_charge_belongs_to_the_day_of_its_sending),
                cmocka_unit_test(a_charge_of_last_month_counts_in_neither_window),
                cmocka_unit_test(what_was_reserved_yesterday_and_sent_today_counts_today),
                cmocka_unit_test(what_the_ledger_says_counts_in_its_day_and_month),
                cmocka_unit_test(a_clock_that_is_set_back_renews_nothing),
                cmocka_unit_test(a_clock_that_was_far_ahead_keeps_no_limit_from_renewing),
                cmocka_unit_test(what_a_clock_far_ahead_has_written_is_passed_over),
                cmocka_unit_test(
                        what_a_clock_that_was_ahead_has_written_counts_until_its_day_is_over),
                cmocka_unit_test(a_start_with_a_clock_that_is_behind_gives_no_day_twice),
                cmocka_unit_test(no_start_gives_a_limit_again_where_the_clock_was_ahead),
                cmocka_unit_test(a_charge_counts_where_the_clock_went_back_after_its_sending),
                cmocka_unit_test(a_charge_counts_that_was_sent_by_a_clock_that_was_ahead),
                cmocka_unit_test(a_clock_that_is_set_ahead_renews_at_once),
                cmocka_unit_test(windows_agree_with_a_book_of_all_charges_across_restarts),
                cmocka_unit_test(a_clock_that_jumps_about_gives_no_day_twice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
