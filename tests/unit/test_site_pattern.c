/*
 * test_site_pattern: what is a host or a pattern of hosts, and what to write instead of what is
 * not.
 */
#include "config/site_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void site_patterns_are_hosts_suffixes_or_everything(void **state)
{
        static const char *const good[] = {
                "example.com", "EXAMPLE.com", "localhost", "a_b.example", "*.example.com",
                "*.com",       "*",           "192.0.2.1", "[::1]",       "xn--bcher-kva.example",
                "1.example",
        };
        (void)state;

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
                if (site_pattern_problem(good[i]))
                        fail_msg("%s %s", good[i], site_pattern_problem(good[i]));
}

static void what_is_no_site_pattern_is_told_what_to_write(void **state)
{
        static const struct {
                const char *pattern, *problem;
        } bad[] = {
                {"", "is empty"},
                {"https://example.com", "a scheme"},
                {"example.com/path", "a path"},
                {"example.com:443", "a port"},
                {"u@example.com", "user information"},
                {"example.com.", "ends with a dot"},
                {".example.com", "empty label"},
                {"a..b", "empty label"},
                {"www.*.com", "a *"},
                {"*example.com", "a *"},
                {"*.*.com", "a second *"},
                {"*.", "nothing behind"},
                {"**", "a *"},
                {"b\xc3\xbc"
                 "cher.example",
                 "Punycode"},
                {"*.b\xc3\xbc"
                 "cher.example",
                 "Punycode"},
                {"a b", "white space"},
                {"a%2eb", "a character"},
                {"-a.example", "hyphen"},
                {"a-.example", "hyphen"},
                {"1.2.3", "no IPv4"},
                {"1.2.3.256", "no IPv4"},
                {"*.1.2.3.4", "below an address"},
                {"*.[::1]", "below an address"},
                {"[::1", "no IPv6"},
                {"[1.2.3.4]", "no IPv6"},
                {"[::1]:80", "no IPv6"},
                {"2001:db8::1", "square brackets"},
        };
        (void)state;

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                const char *problem = site_pattern_problem(bad[i].pattern);
                if (!problem || !strstr(problem, bad[i].problem) || !strstr(problem, "; "))
                        fail_msg("\"%s\" %s", bad[i].pattern, problem ? problem : "is accepted");
        }
}

static void labels_and_names_have_the_lengths_of_rfc_1123(void **state)
{
        char label[65], name[300] = "";
        (void)state;

        memset(label, 'a', 63);
        label[63] = '\0';
        assert_null(site_pattern_problem(label));
        memcpy(label + 63, "a", 2);
        assert_non_null(site_pattern_problem(label));
        for (int i = 0; i < 126; i++)
                strcat(name, "a.");
        strcat(name, "a");
        assert_int_equal(strlen(name), 253);
        assert_null(site_pattern_problem(name));
        strcat(name, "a");
        assert_non_null(site_pattern_problem(name));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(site_patterns_are_hosts_suffixes_or_everything),
                cmocka_unit_test(what_is_no_site_pattern_is_told_what_to_write),
                cmocka_unit_test(labels_and_names_have_the_lengths_of_rfc_1123),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
