/*
 * How long an upstream asks to wait.
 */
#include "upstream/retry_after.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1795363200500) /* 2026-11-22T16:00:00.500Z, a Sunday */
#define MAX    RETRY_AFTER_MAX_MS

struct wait {
        const char *text;
        int64_t wait_ms;
};

static void assert_waits(const struct wait *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int64_t wait_ms = retry_after_read(cases[i].text, NOW_MS);
                if (wait_ms != cases[i].wait_ms)
                        fail_msg("\"%s\": %lld ms, not %lld", cases[i].text, (long long)wait_ms,
                                 (long long)cases[i].wait_ms);
        }
}

static void a_number_of_seconds_is_cut_to_the_longest_wait(void **state)
{
        static const struct wait cases[] = {
                {"0", 0},
                {"5", 5000},
                {"59", 59000},
                {"60", MAX},
                {"61", MAX},
                {"3601", MAX},
                {"4294967297", MAX},
                {"9223372036854775808", MAX},
                {"18446744073709551617", MAX},
                {"99999999999999999999999999999999999999999999999999999999999999999999", MAX},
                {"2.5", 2500},
                {"0.0001", 1},
                {"1e0", 1000},
                {"1E+1", 10000},
                {"25e-1", 2500},
                {"1e3", MAX},
                {"1e400", MAX},
                {"1e-400", 0},
                {"-1", 0},
                {"-3601", 0},
                {"-1e400", 0},
                {"-0", 0},
                {" 5\t", 5000},
                {"005", 5000},
                {"+5", 5000},
        };

        (void)state;
        assert_waits(cases, sizeof cases / sizeof *cases);
}

static void a_date_counts_in_all_three_forms(void **state)
{
        static const struct wait cases[] = {
                {"Sun, 22 Nov 2026 16:00:05 GMT", 4500},
                {"Sunday, 22-Nov-26 16:00:05 GMT", 4500},
                {"Sun Nov 22 16:00:05 2026", 4500},
                {"Tue Dec  1 00:00:00 2026", MAX},
                {"Sun, 22 Nov 2026 16:00:01 GMT", 500},
                {"Sun, 22 Nov 2026 16:00:00 GMT", 0},
                {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
                {"Sunday, 06-Nov-94 08:49:37 GMT", 0}, /* not of 2094 */
                {"Sun Nov  6 08:49:37 1994", 0},
                {"Sunday, 06-Nov-76 08:49:37 GMT", MAX},
                {"Sunday, 06-Nov-77 08:49:37 GMT", 0},
                {"Fri, 31 Dec 9999 23:59:59 GMT", MAX},
                {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
                {"Sat, 01 Jan 0000 00:00:00 GMT", 0},
                {"Sun, 22 Nov 2026 16:00:60 GMT", 59500}, /* a leap second */
        };

        (void)state;
        assert_waits(cases, sizeof cases / sizeof *cases);
}

static void what_is_not_a_time_is_ignored(void **state)
{
        static const char *const texts[] = {
                "",
                " ",
                "soon",
                "5s",
                "5 6",
                "5, 6",
                "--5",
                "1e",
                "e",
                ".",
                "-",
                "0x10",
                "inf",
                "nan",
                "Sun, 22 Nov 2026 16:00:05",
                "Sun, 22 Nov 2026 16:00:05 UTC",
                "Sun, 22 Nov 2026 16:00:05 GMT+1",
                "Sun, 22 Nov 2026 16:00:5 GMT",
                "Sun, 22 nov 2026 16:00:05 GMT",
                "22 Nov 2026 16:00:05 GMT",
                "Sun Nov 6 08:49:37 2026",
                "2026-11-22T16:00:05Z",
        };

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                assert_waits(&(struct wait){texts[i], 0}, 1);
}

static void a_number_of_any_length_is_read(void **state)
{
        char text[5000];

        (void)state;
        memset(text, '9', sizeof text);
        text[sizeof text - 1] = '\0';
        assert_int_equal(retry_after_read(text, NOW_MS), MAX);
        memcpy(text, "0.", 2);
        assert_int_equal(retry_after_read(text, NOW_MS), 1000);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_number_of_seconds_is_cut_to_the_longest_wait),
                cmocka_unit_test(a_date_counts_in_all_three_forms),
                cmocka_unit_test(what_is_not_a_time_is_ignored),
                cmocka_unit_test(a_number_of_any_length_is_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
