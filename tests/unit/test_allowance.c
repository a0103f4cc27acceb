/*
 * Tests of upstream/allowance: what of an answer about an account is a number, and what is none.
 */
#include "upstream/allowance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_left(const char *members, double expected)
{
        double left = -1;

        if (!allowance_left(members, strlen(members), &left))
                fail_msg("nothing is left by %s", members);
        assert_true(left == expected);
}

static void assert_unknown(const char *members)
{
        double left = -1;

        if (allowance_left(members, strlen(members), &left))
                fail_msg("%g is left by %s", left, members);
        assert_true(left == -1);
}

static void generation_1_tells_what_the_plan_has_and_what_was_used(void **state)
{
        (void)state;
        assert_left("\"plan id\":\"p\",\"planlimit\":1000000,\"status\":\"active\",\"used\":689797",
                    310203);
        assert_left("\"used\":3,\"planlimit\":2", -1);
        assert_left("\"used\":\"3\",\"planlimit\":\"20\"", 17);
}

static void generation_2_tells_money(void **state)
{
        (void)state;
        assert_left("\"Balance\":5.19,\"Currency\":\"USD\",\"Subscription\":{\"used\":3}", 5.19);
        assert_left("\"Balance\":0", 0);
        assert_left("\"Balance\":\"-0.5\"", -0.5);
}

static void what_is_no_number_is_unknown(void **state)
{
        static const char *const members[] = {
                "",
                "\"planlimit\":10",
                "\"used\":10",
                "\"planlimit\":null,\"used\":1",
                "\"Balance\":true",
                "\"Balance\":\"\"",
                "\"Balance\":\"nan\"",
                "\"Balance\":\"inf\"",
                "\"Balance\":\" 1\"",
                "\"Balance\":\"1 USD\"",
                "\"Balance\":1e999",
                "\"Balance\":[1]",
                "\"Balance\":0000000000000000000000000000000000000000001",
                "\"balance\":1",
                "\"Balance\"",
                "]",
        };

        (void)state;
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
                assert_unknown(members[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(generation_1_tells_what_the_plan_has_and_what_was_used),
                cmocka_unit_test(generation_2_tells_money),
                cmocka_unit_test(what_is_no_number_is_unknown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
