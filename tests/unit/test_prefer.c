/*
 * The Prefer field (RFC 7240).
 */
#include "http/prefer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_value_means_what_the_rfc_says(void **state)
{
        static const struct {
                const char *value;
                bool respond_async;
                int64_t wait_s;
        } cases[] = {
                {"", false, -1},
                {"wait=10", false, 10},
                {"WAIT=10", false, 10},
                {"wait = 10", false, 10},
                {"wait=0", false, 0},
                {"respond-async", true, -1},
                {"Respond-Async, wait=5", true, 5},
                {"handling=lenient , wait=7;foo=bar", false, 7},
                {"wait=3, wait=9", false, 3}, /* the first stands */
                {"wait=ten", false, -1},
                {"wait=", false, -1},
                {"wait", false, -1},
                {"wait=-1", false, -1},
                {"wait=1.5", false, -1},
                {"wait=99999999999999999999", false, PREFER_WAIT_MAX_S},
                {"respond-asynchronously", false, -1},
                {",,;=,wait=2,", false, 2},
                {"foo=\"a, wait=20, b\"", false, -1}, /* quoted */
                {"foo=\"\\\", wait=20\", wait=4", false, 4},
                {"foo=\"open, wait=20", false, -1},
                {"wait=\"20\"", false, -1},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct prefer prefer = prefer_none();
                prefer_add(&prefer, cases[i].value);
                assert_int_equal(prefer.respond_async, cases[i].respond_async);
                assert_int_equal(prefer.wait_s, cases[i].wait_s);
        }
}

static void several_fields_add_up(void **state)
{
        struct prefer prefer = prefer_none();

        (void)state;
        prefer_add(&prefer, "respond-async");
        prefer_add(&prefer, "wait=4");
        prefer_add(&prefer, "wait=6");
        assert_true(prefer.respond_async);
        assert_int_equal(prefer.wait_s, 4);
}

static void a_query_value_is_a_whole_number_or_nothing(void **state)
{
        (void)state;
        assert_int_equal(prefer_seconds("12"), 12);
        assert_int_equal(prefer_seconds(""), -1);
        assert_int_equal(prefer_seconds(" 1"), -1);
        assert_int_equal(prefer_seconds("1e3"), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_value_means_what_the_rfc_says),
                cmocka_unit_test(several_fields_add_up),
                cmocka_unit_test(a_query_value_is_a_whole_number_or_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
