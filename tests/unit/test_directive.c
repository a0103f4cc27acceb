/*
 * The header fields of a solve that say how a job is to be taken: directives of Cache-Control
 * (RFC 9111), and Idempotency-Key.
 */
#include "http/directive.h"
#include "http/idempotency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_directive_is_found_in_a_list_as_the_rfc_writes_it(void **state)
{
        static const struct {
                const char *value;
                bool has;
        } cases[] = {
                {"no-cache", true},
                {"No-Cache", true},
                {" \tno-cache ", true},
                {"max-age=0, no-cache", true},
                {"max-age=0,no-cache,no-store", true},
                {",, ,no-cache", true},
                {"no-cache=\"Set-Cookie\"", true}, /* its argument does not count */
                {"foo=\"a, b\", no-cache", true},
                {"foo=\"\\\", b\", no-cache", true},
                {"", false},
                {",", false},
                {"no-store", false},
                {"no-cach", false},
                {"no-cache-please", false},
                {"no-cache;", false},
                {"x-no-cache", false},
                {"\"no-cache\"", false},
                {"foo=\"a, no-cache, b\"", false},
                {"foo=\"\\\", no-cache", false},
                {"foo=\"open, no-cache", false},
                {"foo=no-cache", false},
                {"=no-cache", false},
                {"foo no-cache", false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                assert_int_equal(directive_has(cases[i].value, "no-cache"), cases[i].has);
}

static void a_key_counts_without_its_quotes(void **state)
{
        static const struct {
                const char *value, *key;
        } cases[] = {
                {"\"8e03978e-40d5-43e8\"", "8e03978e-40d5-43e8"},
                {"8e03978e-40d5-43e8", "8e03978e-40d5-43e8"},
                {"\"a b\"", "a b"},
                {"x", "x"},
                {"~!", "~!"},
        };
        char key[JOB_KEY_BYTES_MAX + 1];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_true(idempotency_key(cases[i].value, key));
                assert_string_equal(key, cases[i].key);
        }
}

static void what_is_no_key_is_refused_and_leaves_nothing(void **state)
{
        static const char *const values[] = {"",          "\"",     "\"\"", "\"\"\"",
                                             "\"open",    "open\"", "a\"b", "\"a\"b\"",
                                             "tab\there", "line\n", "\x7f", "\xc3\xa9"};
        char key[JOB_KEY_BYTES_MAX + 1] = "untouched";

        (void)state;
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
                assert_false(idempotency_key(values[i], key));
        assert_string_equal(key, "untouched");
}

static void a_key_is_taken_up_to_its_longest(void **state)
{
        char value[JOB_KEY_BYTES_MAX + 4], key[JOB_KEY_BYTES_MAX + 1];

        (void)state;
        memset(value, 'k', sizeof value);
        value[JOB_KEY_BYTES_MAX + 1] = '\0';
        assert_false(idempotency_key(value, key));
        value[JOB_KEY_BYTES_MAX] = '\0';
        assert_true(idempotency_key(value, key));
        assert_string_equal(key, value);

        value[JOB_KEY_BYTES_MAX] = 'k';
        value[0] = value[JOB_KEY_BYTES_MAX + 1] = '"';
        value[JOB_KEY_BYTES_MAX + 2] = '\0';
        assert_true(idempotency_key(value, key));
        assert_int_equal(strlen(key), JOB_KEY_BYTES_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_directive_is_found_in_a_list_as_the_rfc_writes_it),
                cmocka_unit_test(a_key_counts_without_its_quotes),
                cmocka_unit_test(what_is_no_key_is_refused_and_leaves_nothing),
                cmocka_unit_test(a_key_is_taken_up_to_its_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
