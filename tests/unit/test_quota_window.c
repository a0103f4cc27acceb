/*
 * Tests of access/quota: days and months, by clocks that jump too.
 */
#include "quota_fixture.h"

#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

static int64_t month_start(int64_t wall_ms)
{
        time_t moment = wall_ms / 1000;
        struct tm date = {0};

        assert_non_null(gmtime_r(&moment, &date));
        date.tm_mday = 1;
        date.tm_hour = date.tm_min = date.tm_sec = 0;
        return clock_day_of((int64_t)timegm(&date) * 1000);
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
        for (int month = 0; month < 12 * 250; month++) {
                int year = 1965 + month / 12;
                bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                int length = lengths[month % 12] + (leap && month % 12 == 1);
                for (int64_t day = first; day < first + length; day++) {
                        struct quota_time now = {.wall_ms = day * CLOCK_DAY_MS};
                        struct quota quota;
                        quota_init(&quota, now);
                        struct quota_figures figures = read_at(&quota, now);
                        assert_int_equal(figures.month.length_s, length * DAY_S);
                        assert_int_equal(figures.month.renews_wall_ms,
                                         (first + length) * CLOCK_DAY_MS);
                        assert_int_equal(figures.day.renews_wall_ms, (day + 1) * CLOCK_DAY_MS);
                        assert_int_equal(figures.day.length_s, DAY_S);
                }
                first += length;
        }
}

static void a_charge_belongs_to_the_day_of_its_reservation(void **state)
{
        struct quota_time reserved = at("2026-11-22 23:59:50"), now = at("2026-11-23 00:00:10");
        struct quota quota = with_limits(0, 0, 10, 10, reserved);

        (void)state;
        assert_int_equal(quota_reserve(&quota, reserved), QUOTA_OK);
        assert_int_equal(read_at(&quota, reserved).day.reserved, 1);
        assert_int_equal(read_at(&quota, now).day.reserved, 0);
        assert_int_equal(read_at(&quota, now).month.reserved, 1);
        quota_settle(&quota, clock_day_of(reserved.wall_ms));
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used, 0);
        assert_int_equal(figures.day.left, 10);
        assert_int_equal(figures.month.used, 1);
        assert_int_equal(figures.month.left, 9);
        assert_int_equal(read_at(&quota, reserved).day.used, 1);
}

static void a_charge_of_last_month_counts_in_neither_window(void **state)
{
        struct quota_time reserved = at("2026-11-30 23:59:50"), now = at("2026-12-01 00:00:10");
        struct quota quota = with_limits(0, 0, 10, 10, reserved);

        (void)state;
        assert_int_equal(quota_reserve(&quota, reserved), QUOTA_OK);
        quota_settle(&quota, clock_day_of(reserved.wall_ms));
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.used + figures.month.used, 0);
        assert_int_equal(figures.month.left, 10);
}

static void what_was_reserved_yesterday_leaves_today_whole(void **state)
{
        struct quota_time taken = at("2026-11-30 23:00:00"), next = at("2026-12-01 00:00:00");
        struct quota quota = with_limits(0, 0, 1, 1, taken);

        (void)state;
        assert_int_equal(quota_reserve(&quota, taken), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, taken), QUOTA_MONTHLY);
        assert_int_equal(quota_reserve(&quota, next), QUOTA_OK);
        quota_settle(&quota, clock_day_of(taken.wall_ms));
        quota_release(&quota, clock_day_of(next.wall_ms));
        assert_int_equal(read_at(&quota, next).day.used, 0);
        assert_int_equal(read_at(&quota, taken).day.used, 1);
}

static void what_the_ledger_says_counts_in_its_day_and_month(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        int64_t today = now.wall_ms / CLOCK_DAY_MS, first = month_start(now.wall_ms);
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

static void a_clock_that_is_set_forward_and_back_finds_each_day_as_it_was(void **state)
{
        struct quota_time now = at("2026-11-30 12:00:00"), ahead = at("2026-12-01 12:00:00");
        struct quota quota = with_limits(0, 0, 2, 3, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        assert_int_equal(charge(&quota, ahead), QUOTA_OK);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
                assert_int_equal(read_at(&quota, now).day.used, 2);
                assert_int_equal(read_at(&quota, now).month.used, 2);
                assert_int_equal(read_at(&quota, ahead).day.used, 1);
                assert_int_equal(read_at(&quota, ahead).month.used, 1);
        }
        assert_int_equal(charge(&quota, ahead), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, ahead), QUOTA_DAILY);
        /* When that day comes for real, it has used what it had. */
        assert_int_equal(quota_reserve(&quota, later(now, CLOCK_DAY_MS)), QUOTA_DAILY);
        assert_int_equal(charge(&quota, later(now, 2 * CLOCK_DAY_MS)), QUOTA_OK);
        assert_int_equal(charge(&quota, later(now, 3 * CLOCK_DAY_MS)), QUOTA_MONTHLY);
}

static void a_clock_that_is_set_back_over_midnight_counts_in_the_day_before(void **state)
{
        struct quota_time now = at("2026-12-01 00:00:05"), back = at("2026-11-30 23:59:55");
        struct quota quota = with_limits(0, 0, 2, 0, now);

        (void)state;
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(charge(&quota, back), QUOTA_OK);
        struct quota_figures figures = read_at(&quota, back);
        assert_int_equal(figures.day.used, 1);
        assert_int_equal(figures.day.renews_wall_ms, at("2026-12-01 00:00:00").wall_ms);
        assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        assert_int_equal(charge(&quota, back), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, back), QUOTA_DAILY);
}

static void a_month_ahead_and_back_grants_no_month_again(void **state)
{
        struct quota_time now = at("2026-11-30 12:00:00"), ahead = at("2027-03-05 00:00:00");
        struct quota quota = with_limits(0, 0, 0, 2, now);

        (void)state;
        for (int i = 0; i < 2; i++) {
                assert_int_equal(charge(&quota, at("2026-11-01 00:00:00")), QUOTA_OK);
                assert_int_equal(charge(&quota, ahead), QUOTA_OK);
        }
        for (int i = 0; i < 2; i++) {
                assert_int_equal(quota_reserve(&quota, now), QUOTA_MONTHLY);
                assert_int_equal(quota_reserve(&quota, ahead), QUOTA_MONTHLY);
        }
        assert_int_equal(charge(&quota, at("2026-12-01 00:00:00")), QUOTA_OK);
}

/* Else a clock that goes to and fro while jobs wait would fill one day from another. */
static void what_was_reserved_on_a_day_never_exceeds_that_day(void **state)
{
        struct quota_time now = at("2026-11-30 12:00:00"), ahead = at("2026-12-01 12:00:00");
        struct quota quota = with_limits(0, 0, 2, 0, now);
        int64_t today = clock_day_of(now.wall_ms);

        (void)state;
        for (int i = 0; i < 2; i++)
                assert_int_equal(charge(&quota, ahead), QUOTA_OK);
        for (int i = 0; i < 2; i++)
                assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        for (int i = 0; i < 2; i++) /* sent by the clock that is ahead */
                quota_settle(&quota, today);
        assert_int_equal(read_at(&quota, ahead).day.used, 2);
        assert_int_equal(read_at(&quota, now).day.used, 2);
        assert_int_equal(quota_reserve(&quota, now), QUOTA_DAILY);
        assert_int_equal(quota_reserve(&quota, ahead), QUOTA_DAILY);
}

/* The clock was set to each of the days while jobs waited. */
static void reservations_on_more_days_than_there_is_room_for_end_nothing(void **state)
{
        struct quota_time now = at("2026-11-30 12:00:00");
        struct quota quota = with_limits(0, 0, 5, 50, now);
        int64_t today = clock_day_of(now.wall_ms);

        (void)state;
        for (int64_t i = 0; i < 200; i++)
                (void)quota_reserve(&quota, later(now, i * CLOCK_DAY_MS));
        assert_int_equal(quota.days_count, QUOTA_DAYS_MAX);
        for (int64_t i = 0; i < 200; i++)
                quota_settle(&quota, today + i);
        for (int64_t i = 0; i < 200; i++)
                quota_release(&quota, today + i);
        assert_int_equal(read_at(&quota, now).day.reserved, 0);
}

static void a_start_with_a_wrong_clock_forgets_no_recent_day(void **state)
{
        struct quota_time right = at("2026-11-30 12:00:00"), wrong = at("1970-01-01 00:00:30");
        int64_t today = clock_day_of(right.wall_ms);

        (void)state;
        for (int order = 0; order < 2; order++) {
                struct quota quota = with_limits(0, 0, 5, 0, wrong);
                for (int64_t i = 0; i < 800; i++)
                        quota_restore(&quota, today - (order == 0 ? i : 799 - i), 5, wrong);
                assert_int_equal(quota.days_count, QUOTA_DAYS_MAX);
                for (int64_t i = 0; i < QUOTA_DAYS_MAX; i++)
                        assert_int_equal(quota_reserve(&quota, later(right, -i * CLOCK_DAY_MS)),
                                         QUOTA_DAILY);
                assert_int_equal(read_at(&quota, right).month.used, 150);
                assert_int_equal(charge(&quota, wrong), QUOTA_OK);
                assert_int_equal(read_at(&quota, right).month.used, 150);
        }
}

/* A table full of days to come takes no room from the month that it is. */
static void days_far_ahead_do_not_push_out_the_month(void **state)
{
        struct quota_time now = at("2026-11-30 12:00:00");
        int64_t today = clock_day_of(now.wall_ms);
        struct quota quota = with_limits(0, 0, 0, 0, now);

        (void)state;
        for (int64_t i = 0; i < 200; i++)
                quota_restore(&quota, today + 4000 + i, 1, now);
        for (int64_t i = 0; i < 30; i++)
                quota_restore(&quota, today - i, 1, now);
        assert_int_equal(read_at(&quota, now).month.used, 30);
        for (int64_t i = 0; i < 10; i++)
                assert_int_equal(charge(&quota, now), QUOTA_OK);
        assert_int_equal(read_at(&quota, now).day.used, 11);
        assert_int_equal(read_at(&quota, now).month.used, 40);
}

static void a_ledger_that_is_damaged_overflows_nothing(void **state)
{
        static const int64_t values[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
        struct quota_time now = at("2026-11-30 12:00:00");
        struct quota quota = with_limits(0, 0, 10, 10, now);

        (void)state;
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                for (size_t j = 0; j < sizeof values / sizeof values[0]; j++)
                        quota_restore(&quota, values[i], values[j], now);
        }
        for (int64_t day = 0; day < 30; day++)
                quota_restore(&quota, clock_day_of(now.wall_ms) - day, INT64_MAX, now);
        assert_int_equal(charge(&quota, now), QUOTA_MONTHLY);
        assert_true(read_at(&quota, now).month.used > INT64_MAX / 10);
        assert_int_equal(read_at(&quota, now).month.left, 0);
}

/* What the oracle of the windows knows: every charge by itself, and what is under way. */
#define CHARGES_MAX 20000

struct book {
        int64_t sent_day[CHARGES_MAX];
        int charges;
        int64_t reserved_day[CHARGES_MAX];
        int reserved;
};

static int days_from(const int64_t *days, int count, int64_t first, int64_t next)
{
        int found = 0;

        for (int i = 0; i < count; i++)
                found += days[i] >= first && days[i] < next;
        return found;
}

static int64_t next_month_start(int64_t wall_ms)
{
        return month_start((month_start(wall_ms) + 31) * CLOCK_DAY_MS);
}

static void settle_some(struct quota *quota, struct book *book)
{
        if (book->reserved == 0)
                return;
        int which = (int)below(book->reserved);
        int64_t day = book->reserved_day[which];
        book->reserved_day[which] = book->reserved_day[--book->reserved];
        if (below(4) == 0) {
                quota_release(quota, day);
                return;
        }
        quota_settle(quota, day);
        book->sent_day[book->charges++] = day;
}

/* Reads every charge of the book into a new quota, as a start does. */
static struct quota restart(const struct book *book, const struct quota *old, struct quota_time now)
{
        struct quota quota;

        quota_init(&quota, now);
        for (int i = 0; i < book->charges; i++)
                quota_restore(&quota, book->sent_day[i], 1, now);
        for (int i = 0; i < book->reserved; i++)
                quota_reserve_always(&quota, book->reserved_day[i]);
        quota_set_limits(&quota, &old->limits, now);
        return quota;
}

/* However the wall clock jumps, in memory and over restarts, each day and month has used what was
 * charged in it, and never more than its limit. */
static void windows_agree_with_a_book_of_all_charges_wherever_the_clock_is(void **state)
{
        static struct book book;
        const int64_t daily = 20, monthly = 300;
        struct quota_time right = at("2026-11-22 16:05:00"), now = right;
        struct quota quota = with_limits(0, 0, daily, monthly, now);
        int verdicts[QUOTA_MONTHLY + 1] = {0};
        int64_t wrong_ms = 0;

        (void)state;
        for (int step = 0; step < 20000; step++) {
                right = later(right, below(HOUR_MS));
                if (below(50) == 0) /* with what it may look back at, QUOTA_DAYS_MAX at most */
                        wrong_ms = below(30 * 24 * HOUR_MS) - 15 * 24 * HOUR_MS;
                now = right;
                now.wall_ms += wrong_ms;
                int64_t day = clock_day_of(now.wall_ms);
                int64_t first = month_start(now.wall_ms), next = next_month_start(now.wall_ms);
                int today = days_from(book.sent_day, book.charges, day, day + 1);
                int month = days_from(book.sent_day, book.charges, first, next);
                int waits = days_from(book.reserved_day, book.reserved, day, day + 1);
                int waits_month = days_from(book.reserved_day, book.reserved, first, next);
                struct quota_figures figures = read_at(&quota, now);
                assert_int_equal(figures.day.used, today);
                assert_int_equal(figures.month.used, month);
                assert_int_equal(figures.day.reserved, waits);
                assert_int_equal(figures.month.reserved, waits_month);
                assert_true(today + waits <= daily && month + waits_month <= monthly);
                enum quota_verdict expected = month + waits_month >= monthly ? QUOTA_MONTHLY
                                              : today + waits >= daily       ? QUOTA_DAILY
                                                                             : QUOTA_OK;
                if (below(2) == 0) {
                        assert_int_equal(quota_reserve(&quota, now), expected);
                        verdicts[expected]++;
                        if (expected == QUOTA_OK)
                                book.reserved_day[book.reserved++] = day;
                } else {
                        settle_some(&quota, &book);
                }
                if (below(500) == 0)
                        quota = restart(&book, &quota, now);
        }
        assert_true(verdicts[QUOTA_OK] > 100 && verdicts[QUOTA_DAILY] > 100 &&
                    verdicts[QUOTA_MONTHLY] > 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_day_renews_at_midnight_utc_and_not_a_moment_earlier),
                cmocka_unit_test(a_month_renews_with_its_first_day),
                cmocka_unit_test(the_29th_of_february_is_in_leap_years_only),
                cmocka_unit_test(every_day_is_in_the_month_that_the_calendar_says),
                cmocka_unit_test(a_charge_belongs_to_the_day_of_its_reservation),
                cmocka_unit_test(a_charge_of_last_month_counts_in_neither_window),
                cmocka_unit_test(what_was_reserved_yesterday_leaves_today_whole),
                cmocka_unit_test(what_the_ledger_says_counts_in_its_day_and_month),
                cmocka_unit_test(a_clock_that_is_set_forward_and_back_finds_each_day_as_it_was),
                cmocka_unit_test(a_clock_that_is_set_back_over_midnight_counts_in_the_day_before),
                cmocka_unit_test(a_month_ahead_and_back_grants_no_month_again),
                cmocka_unit_test(what_was_reserved_on_a_day_never_exceeds_that_day),
                cmocka_unit_test(reservations_on_more_days_than_there_is_room_for_end_nothing),
                cmocka_unit_test(a_start_with_a_wrong_clock_forgets_no_recent_day),
                cmocka_unit_test(days_far_ahead_do_not_push_out_the_month),
                cmocka_unit_test(a_ledger_that_is_damaged_overflows_nothing),
                cmocka_unit_test(windows_agree_with_a_book_of_all_charges_wherever_the_clock_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
