/*
 * A client's limits as RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10).
 */
#include "access/quota.h"
#include "http/ratelimit.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1795359600000)

static struct quota_figures figures_of(double rate, int64_t burst, int64_t daily, int64_t monthly)
{
        return (struct quota_figures){
                .limits = {.rate = rate, .burst = burst, .daily = daily, .monthly = monthly},
                .day = {.limit = daily,
                        .left = daily,
                        .renews_wall_ms = NOW_MS + 3600000,
                        .length_s = 86400},
                .month = {.limit = monthly,
                          .left = monthly,
                          .renews_wall_ms = NOW_MS + 86400000,
                          .length_s = 2592000},
                .level = (double)burst,
                .now_wall_ms = NOW_MS,
        };
}

static void all_three_limits_are_listed_in_order(void **state)
{
        struct quota_figures figures = figures_of(5, 10, 1000, 20000);
        char field[RATELIMIT_BYTES_MAX];

        (void)state;
        figures.level = 9.4;
        figures.full_ms = 120;
        figures.day.left = 997;
        figures.month.left = 19000;
        assert_true(ratelimit_any(&figures));
        ratelimit_policy(&figures, field);
        assert_string_equal(field, "\"rate\";q=10;w=2, \"daily\";q=1000;w=86400, "
                                   "\"monthly\";q=20000;w=2592000");
        ratelimit_left(&figures, field);
        assert_string_equal(
                field, "\"rate\";r=9;t=1, \"daily\";r=997;t=3600, \"monthly\";r=19000;t=86400");
}

static void a_limit_that_is_not_set_is_not_listed(void **state)
{
        static const struct {
                double rate;
                int64_t daily, monthly;
                const char *policy, *left;
        } cases[] = {
                {1, 0, 0, "\"rate\";q=1;w=1", "\"rate\";r=1;t=0"},
                {0, 7, 0, "\"daily\";q=7;w=86400", "\"daily\";r=7;t=3600"},
                {0, 0, 7, "\"monthly\";q=7;w=2592000", "\"monthly\";r=7;t=86400"},
                {0, 7, 9, "\"daily\";q=7;w=86400, \"monthly\";q=9;w=2592000",
                 "\"daily\";r=7;t=3600, \"monthly\";r=9;t=86400"},
        };
        char field[RATELIMIT_BYTES_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct quota_figures figures =
                        figures_of(cases[i].rate, 1, cases[i].daily, cases[i].monthly);
                assert_true(ratelimit_any(&figures));
                ratelimit_policy(&figures, field);
                assert_string_equal(field, cases[i].policy);
                ratelimit_left(&figures, field);
                assert_string_equal(field, cases[i].left);
        }
}

static void without_limits_there_is_nothing_to_tell(void **state)
{
        struct quota_figures figures = figures_of(0, 0, 0, 0);
        char field[RATELIMIT_BYTES_MAX] = "something";

        (void)state;
        assert_false(ratelimit_any(&figures));
        ratelimit_policy(&figures, field);
        assert_string_equal(field, "");
        ratelimit_left(&figures, field);
        assert_string_equal(field, "");
}

static void the_window_of_a_rate_is_how_long_the_burst_takes_to_come_back(void **state)
{
        static const struct {
                double rate;
                int64_t burst;
                const char *policy;
        } cases[] = {
                {5, 10, "\"rate\";q=10;w=2"},   {4, 10, "\"rate\";q=10;w=3"}, /* 2.5 s */
                {10000, 1, "\"rate\";q=1;w=1"}, {0.001, 100000, "\"rate\";q=100000;w=100000000"},
                {0.5, 1, "\"rate\";q=1;w=2"},
        };
        char field[RATELIMIT_BYTES_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct quota_figures figures = figures_of(cases[i].rate, cases[i].burst, 0, 0);
                ratelimit_policy(&figures, field);
                assert_string_equal(field, cases[i].policy);
        }
}

static void what_is_left_is_whole_jobs_and_times_are_whole_seconds_never_too_early(void **state)
{
        static const struct {
                double level;
                int64_t full_ms;
                const char *left;
        } cases[] = {
                {10, 0, "\"rate\";r=10;t=0"},  {9.999, 1, "\"rate\";r=9;t=1"},
                {1, 1000, "\"rate\";r=1;t=1"}, {0.999, 1001, "\"rate\";r=0;t=2"},
                {0, 2000, "\"rate\";r=0;t=2"}, {-0.5, 2100, "\"rate\";r=0;t=3"},
        };
        char field[RATELIMIT_BYTES_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct quota_figures figures = figures_of(5, 10, 0, 0);
                figures.level = cases[i].level;
                figures.full_ms = cases[i].full_ms;
                ratelimit_left(&figures, field);
                assert_string_equal(field, cases[i].left);
        }
}

static void a_window_that_is_over_renews_now_and_not_before(void **state)
{
        struct quota_figures figures = figures_of(0, 0, 7, 0);
        char field[RATELIMIT_BYTES_MAX];

        (void)state;
        figures.day.left = 0;
        figures.day.renews_wall_ms = NOW_MS - 5000;
        ratelimit_left(&figures, field);
        assert_string_equal(field, "\"daily\";r=0;t=0");
        figures.day.renews_wall_ms = NOW_MS + 1;
        ratelimit_left(&figures, field);
        assert_string_equal(field, "\"daily\";r=0;t=1");
}

static void the_largest_numbers_fit(void **state)
{
        struct quota_figures figures = figures_of(0.001, INT_MAX, INT64_MAX, INT64_MAX);
        char field[RATELIMIT_BYTES_MAX];

        (void)state;
        figures.full_ms = INT64_MAX;
        figures.day.renews_wall_ms = figures.month.renews_wall_ms = INT64_MAX;
        figures.day.length_s = figures.month.length_s = INT64_MAX;
        ratelimit_policy(&figures, field);
        assert_true(strlen(field) < RATELIMIT_BYTES_MAX - 1);
        assert_string_equal(strrchr(field, '='), "=9223372036854775807");
        ratelimit_left(&figures, field);
        assert_true(strlen(field) < RATELIMIT_BYTES_MAX - 1);
        assert_non_null(strstr(field, "\"monthly\";r=9223372036854775807;t="));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_three_limits_are_listed_in_order),
                cmocka_unit_test(a_limit_that_is_not_set_is_not_listed),
                cmocka_unit_test(without_limits_there_is_nothing_to_tell),
                cmocka_unit_test(the_window_of_a_rate_is_how_long_the_burst_takes_to_come_back),
                cmocka_unit_test(
                        what_is_left_is_whole_jobs_and_times_are_whole_seconds_never_too_early),
                cmocka_unit_test(a_window_that_is_over_renews_now_and_not_before),
                cmocka_unit_test(the_largest_numbers_fit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
