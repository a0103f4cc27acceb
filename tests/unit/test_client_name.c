/*
 * test_client_name: which names may be given.
 */
#include "base/client_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void words_of_letters_digits_and_three_signs_are_names(void **state)
{
        static const char *const names[] = {"a", "ci", "A.b-c_9", "_", "-x", "locals", "SGT_x"};

        (void)state;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                assert_null(plain_name_problem(names[i]));
                assert_null(client_name_problem(names[i]));
        }
}

static void what_a_label_or_a_file_cannot_be_is_no_name(void **state)
{
        static const struct {
                const char *name, *words;
        } cases[] = {
                {"", "empty"},           {"a/b", "path"},        {"..", "dot"},
                {".hidden", "dot"},      {"a b", "not allowed"}, {"\xc3\xbc", "not allowed"},
                {"a\nb", "not allowed"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                assert_non_null(strstr(plain_name_problem(cases[i].name), cases[i].words));
                assert_non_null(strstr(client_name_problem(cases[i].name), cases[i].words));
        }
}

static void a_name_has_at_most_64_characters(void **state)
{
        char name[CLIENT_NAME_BYTES_MAX + 2] = "";

        (void)state;
        memset(name, 'x', CLIENT_NAME_BYTES_MAX);
        assert_null(client_name_problem(name));
        name[CLIENT_NAME_BYTES_MAX] = 'x';
        assert_non_null(strstr(client_name_problem(name), "64"));
}

static void no_client_is_called_as_everyone_or_like_a_token(void **state)
{
        (void)state;
        assert_null(plain_name_problem("local"));
        assert_non_null(strstr(client_name_problem("local"), "everyone"));
        assert_null(plain_name_problem("sgt_x"));
        assert_non_null(strstr(client_name_problem("sgt_x"), "token"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_of_letters_digits_and_three_signs_are_names),
                cmocka_unit_test(what_a_label_or_a_file_cannot_be_is_no_name),
                cmocka_unit_test(a_name_has_at_most_64_characters),
                cmocka_unit_test(no_client_is_called_as_everyone_or_like_a_token),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
