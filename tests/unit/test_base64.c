/*
 * Tests of base/base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static void only_the_alphabet_and_padding_at_the_end_are_base64(void **state)
{
        static const struct {
                const char *text;
                size_t span;
        } cases[] = {
                {"", 0},       {"QUJD", 4}, {"QUI=", 4}, {"QQ==", 4},     {"Q===", 1},
                {"====", 0},   {"=", 1},    {"QU=D", 2}, {"QQ==Q", 2},    {"QUJD QUJD", 4},
                {"QUJD\n", 4}, {"QU-_", 2}, {"+/+/", 4}, {"\xc3\xa9", 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_int_equal(base64_span(cases[i].text, strlen(cases[i].text)), cases[i].span);
}

static void each_byte_is_judged_alike_at_each_place_of_a_long_text(void **state)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char text[200];

        (void)state;
        for (int byte = 0; byte < 256; byte++) {
                bool good = byte != 0 && strchr(alphabet, byte);
                for (size_t at = 0; at < sizeof text - 2; at++) {
                        memset(text, 'z', sizeof text);
                        text[at] = (char)byte;
                        assert_int_equal(base64_span(text, sizeof text), good ? sizeof text : at);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_the_alphabet_and_padding_at_the_end_are_base64),
                cmocka_unit_test(each_byte_is_judged_alike_at_each_place_of_a_long_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
