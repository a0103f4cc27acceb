/*
 * Tests of job/name_set.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "job/name_set.h"

static void a_name_is_told_when_it_comes_again(void **state)
{
        struct name_set set = {.names_max = 4};

        (void)state;
        assert_int_equal(name_set_add(&set, "site", 4), 0);
        assert_int_equal(name_set_add(&set, "sit", 3), 0);
        assert_int_equal(name_set_add(&set, "", 0), 0);
        assert_int_equal(name_set_add(&set, "", 0), -EEXIST);
        assert_int_equal(name_set_add(&set, "site", 4), -EEXIST);
        assert_int_equal(name_set_add(&set, "sitf", 4), 0);
        name_set_done(&set);
}

static void a_set_holds_as_many_names_as_it_was_made_for(void **state)
{
        struct name_set set = {.names_max = 1000};
        char name[16];

        (void)state;
        for (int i = 0; i < 1000; i++) {
                int len = snprintf(name, sizeof name, "img%d", i);
                assert_int_equal(name_set_add(&set, name, (size_t)len), 0);
        }
        assert_int_equal(name_set_add(&set, "img1000", 7), -EMSGSIZE);
        for (int i = 0; i < 1000; i++) {
                int len = snprintf(name, sizeof name, "img%d", i);
                assert_int_equal(name_set_add(&set, name, (size_t)len), -EEXIST);
        }
        name_set_done(&set);
}

static void names_equal_but_for_case_fold_to_the_same_bytes(void **state)
{
        static const struct {
                const char *name;
                const char *folded;
        } cases[] = {
                {"", ""},
                {"SiteKey_1", "sitekey_1"},
                {"\xc5\xbfite", "site"},
                {"site\xe2\x84\xaa"
                 "ey",
                 "sitekey"},
                {"\xe2\x84\xaa\xc5\xbf", "ks"},
                {"\xc3\x84\xc5\xbe\xe2\x84\xab", "\xc3\x84\xc5\xbe\xe2\x84\xab"},
                {"[@`{", "[@`{"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct strbuf name;
                strbuf_init(&name, 64);
                assert_int_equal(strbuf_puts(&name, cases[i].name), 0);
                name_set_fold(&name);
                assert_string_equal(name.data, cases[i].folded);
                assert_int_equal(name.len, strlen(cases[i].folded));
                strbuf_done(&name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_name_is_told_when_it_comes_again),
                cmocka_unit_test(a_set_holds_as_many_names_as_it_was_made_for),
                cmocka_unit_test(names_equal_but_for_case_fold_to_the_same_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
