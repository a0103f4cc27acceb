/*
 * Tests of access/quota: what is reserved, used and given back, and what a refusal says.
 */
#include "quota_fixture.h"

#include "base/clock.h"

#include <string.h>

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
                quota_settle(&quota, clock_day_of(now.wall_ms));
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
        quota_release(&quota, clock_day_of(now.wall_ms));
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

static void what_was_reserved_before_a_restart_is_reserved_beyond_any_limit(void **state)
{
        struct quota_time now = at("2026-11-22 16:05:00");
        struct quota quota = with_limits(0, 0, 1, 1, now);

        (void)state;
        for (int i = 0; i < 3; i++)
                quota_reserve_always(&quota, clock_day_of(now.wall_ms));
        struct quota_figures figures = read_at(&quota, now);
        assert_int_equal(figures.day.reserved, 3);
        assert_int_equal(figures.day.left, 0);
        assert_int_equal(figures.month.left, 0);
        quota_release(&quota, clock_day_of(now.wall_ms));
        quota_release(&quota, clock_day_of(now.wall_ms));
        assert_int_equal(quota_reserve(&quota, now), QUOTA_MONTHLY);
        quota_release(&quota, clock_day_of(now.wall_ms));
        assert_int_equal(quota_reserve(&quota, now), QUOTA_OK);
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
        quota_restore(&quota, clock_day_of(now.wall_ms), 97, now);
        for (int i = 0; i < 3; i++)
                quota_reserve_always(&quota, clock_day_of(now.wall_ms));
        struct quota_figures figures = read_at(&quota, now);
        quota_explain(&figures, QUOTA_DAILY, message);
        assert_string_equal(
                message,
                "the daily limit of 100 jobs is used up: 97 used, 3 reserved "
                "for jobs under way; it renews at 2026-11-23T00:00:00Z; "
                "for more, the operator of solvegate can raise daily_limit of this client");
        quota_explain(&figures, QUOTA_MONTHLY, message);
        assert_string_equal(
                message,
                "the monthly limit of 1 job is used up: 97 used, 3 reserved "
                "for jobs under way; it renews at 2026-12-01T00:00:00Z; "
                "for more, the operator of solvegate can raise monthly_limit of this client");
        figures.next_ms = 101;
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(
                message,
                "at most 5 jobs a second (rate; burst 10); the next one may come in 0.2 s; "
                "for more, the operator of solvegate can raise the rate of this client");
        figures.limits.rate = 0.5;
        figures.limits.burst = 1;
        figures.next_ms = 1900;
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(
                message,
                "at most 0.5 jobs a second (rate; burst 1); the next one may come in 1.9 s; "
                "for more, the operator of solvegate can raise the rate of this client");
        figures.limits.rate = 1;
        figures.next_ms = 0;
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(
                message, "at most 1 job a second (rate; burst 1); the next one may come in 0.1 s; "
                         "for more, the operator of solvegate can raise the rate of this client");
}

static void the_longest_message_is_whole(void **state)
{
        struct quota_figures figures = {
                .limits = {.rate = 1.23456789e-300, .burst = INT64_MAX},
                .day = {.limit = INT64_MAX,
                        .used = INT64_MAX,
                        .reserved = INT64_MAX,
                        .renews_wall_ms = at("9999-12-31 00:00:00").wall_ms},
                .month = {.limit = INT64_MAX,
                          .used = INT64_MAX,
                          .reserved = INT64_MAX,
                          .renews_wall_ms = at("9999-12-31 00:00:00").wall_ms},
                .next_ms = INT64_MAX,
        };
        char message[QUOTA_MESSAGE_BYTES_MAX];

        (void)state;
        quota_explain(&figures, QUOTA_DAILY, message);
        assert_string_equal(message + strlen(message) - 14, "of this client");
        assert_non_null(strstr(message, "at 9999-12-31T00:00:00Z"));
        quota_explain(&figures, QUOTA_MONTHLY, message);
        assert_string_equal(message + strlen(message) - 14, "of this client");
        quota_explain(&figures, QUOTA_RATE, message);
        assert_string_equal(message + strlen(message) - 14, "of this client");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_limits_everything_is_taken_and_counted),
                cmocka_unit_test(what_is_used_and_reserved_never_passes_the_limit_of_the_day),
                cmocka_unit_test(what_was_not_charged_is_given_back),
                cmocka_unit_test(a_refusal_takes_nothing_from_any_limit),
                cmocka_unit_test(the_limit_that_lasts_longest_is_named),
                cmocka_unit_test(what_was_reserved_before_a_restart_is_reserved_beyond_any_limit),
                cmocka_unit_test(new_limits_hold_at_once_and_forget_nothing),
                cmocka_unit_test(a_refusal_says_when_to_come_again),
                cmocka_unit_test(a_message_says_which_limit_how_much_is_used_and_when_it_renews),
                cmocka_unit_test(the_longest_message_is_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
