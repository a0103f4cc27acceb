/*
 * Tests of access/quota: the bucket, which is how many jobs may come in how short a time.
 */
#include "quota_fixture.h"

#include "base/clock.h"

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
        quota_release(&quota, clock_day_of(now.wall_ms));
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
        assert_int_equal(quota_reserve_again(&quota, at("2026-11-23 00:00:00")), QUOTA_OK);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_bucket_gives_its_burst_and_then_its_rate),
                cmocka_unit_test(the_bucket_never_holds_more_than_its_burst),
                cmocka_unit_test(the_bucket_does_not_care_for_the_wall_clock),
                cmocka_unit_test(a_clock_read_a_moment_ago_fills_and_empties_nothing),
                cmocka_unit_test(a_tiny_rate_waits_for_days_and_a_large_one_for_nothing),
                cmocka_unit_test(nothing_gives_back_what_a_job_took_from_the_bucket),
                cmocka_unit_test(a_job_that_was_taken_long_ago_is_reserved_without_the_bucket),
                cmocka_unit_test(a_bucket_keeps_its_level_under_new_limits_and_a_new_one_is_full),
                cmocka_unit_test(a_bucket_agrees_with_one_in_whole_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
