/*
 * Secrets in what is shown.
 */
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(const char *text, const char *masked)
{
        char copy[100];

        (void)snprintf(copy, sizeof copy, "%s", text);
        secret_mask(copy);
        assert_string_equal(copy, masked);
}

static void the_rest_of_a_token_is_masked_wherever_it_stands(void **state)
{
        (void)state;
        expect("sgt_aB9-_z", "sgt_******");
        expect("name \"sgt_abc\" is taken", "name \"sgt_***\" is taken");
        expect("sgt_a, sgt_bc;sgt_", "sgt_*, sgt_**;sgt_");
        expect("sgt_sgt_x", "sgt_*****");
        expect("xsgt_1\n", "xsgt_*\n");
}

static void other_text_stays(void **state)
{
        (void)state;
        expect("", "");
        expect("a sentence about sgt and SGT_ABC", "a sentence about sgt and SGT_ABC");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_rest_of_a_token_is_masked_wherever_it_stands),
                cmocka_unit_test(other_text_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
