/*
 * Tests of access/sites.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/sites.h"
#include "config/config.h"

#define NOW   INT64_C(1795363200000) /* wall clock: 2026-11-22T16:00:00Z */
#define LATER (NOW + 86400000)

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define HOST_253                                                                                   \
        LABEL_63 "." LABEL_63 "." LABEL_63                                                         \
                 ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"

static void the_host_is_found_in_every_form_of_a_site(void **state)
{
        static const struct {
                const char *site;
                const char *host;
        } cases[] = {
                {"a.example", "a.example"},
                {"localhost", "localhost"},
                {"A.Example", "a.example"},
                {"a.example.", "a.example"},
                {"a.example:8443", "a.example"},
                {"a.example.:1", "a.example"},
                {"a.example:65535/x", "a.example"},
                {"a.example/signup", "a.example"},
                {"a.example/@b.example:80/%20 \xc3\xa9", "a.example"},
                {"a.example?x=http://b.example", "a.example"},
                {"a.example#b.example", "a.example"},
                {"http://a.example", "a.example"},
                {"HTTPS://A.EXAMPLE.:443/path?q#f", "a.example"},
                {"https", "https"},
                {"xn--bcher-kva.example", "xn--bcher-kva.example"},
                {"my_app.example", "my_app.example"},
                {"1.2.3.4", "1.2.3.4"},
                {"http://1.2.3.4.:80/", "1.2.3.4"},
                {"1.2.3.example", "1.2.3.example"},
                {"[::1]", "[::1]"},
                {"http://[0:0:0:0:0:0:0:1]:8080/x", "[::1]"},
                {"[2001:DB8:0::00A]", "[2001:db8::a]"},
                {LABEL_63 ".example", LABEL_63 ".example"},
                {HOST_253, HOST_253},
                {"https://" HOST_253 ".:443/", HOST_253},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char host[SITE_HOST_BYTES_MAX];
                if (site_host(cases[i].site, host) != 0)
                        fail_msg("%s: refused", cases[i].site);
                assert_string_equal(host, cases[i].host);
        }
}

static void what_two_parsers_may_read_differently_is_refused(void **state)
{
        static const char *const sites[] = {
                "",
                " ",
                ".",
                "..",
                "/",
                "/path",
                "?",
                "#",
                ":80",
                "http://",
                "http:///a.example",
                "//a.example",
                "///a.example",
                "http:a.example",
                "http:/a.example",
                "ftp://a.example",
                "javascript://a.example",
                "javascript:alert(1)",
                "http://https://a.example",
                "http://http:",
                "a.example:",
                "a.example:/x",
                "a.example:0",
                "a.example:65536",
                "a.example:99999999999999999999",
                "a.example:+80",
                "a.example:80 ",
                "a.example:8a",
                "a.example:80:80",
                "a.example..",
                ".a.example",
                "a..example",
                "http://user@a.example",
                "user:80@a.example",
                "http://b.example@a.example/",
                "a.example\\@b.example",
                "a.example\\.b.example",
                "http:\\\\a.example",
                "a.example/\\b.example",
                "a.example/x\ny",
                "a.example/x\x7f",
                "a.example\n",
                "\ta.example",
                " a.example",
                "a.example ",
                "a example",
                "a%2eexample",
                "%61.example",
                "b\xc3\xbc"
                "cher.example",
                "a\xe3\x80\x82"
                "example",
                "a,b.example",
                "*",
                "*.example",
                "a.example;b",
                "127.1",
                "1.2.3",
                "1.2.3.4.5",
                "1.2.3.256",
                "01.2.3.4",
                "2130706433",
                "0x7f.1",
                "0x7f000001",
                "127.0.0.0x1",
                "a.0x",
                "a.example.1",
                "::1",
                "[::1",
                "[::1]x",
                "[::1].",
                "[::1]:",
                "[::1]:0",
                "[]",
                "[1.2.3.4]",
                "[fe80::1%eth0]",
                "[a.example]",
                "[::1]]",
                "x[::1]",
                "[::1:80",
                LABEL_63 "x.example",
                "x" HOST_253,
                "a." HOST_253,
        };

        (void)state;
        for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
                char host[SITE_HOST_BYTES_MAX] = "untouched";
                if (site_host(sites[i], host) != -EINVAL)
                        fail_msg("%s: taken as %s", sites[i], host);
                assert_string_equal(host, "untouched");
        }
}

#define PATTERNS_MAX 2000

/* Makes a list of patterns that never end. */
static int make_list(const char *const *patterns, size_t count, struct sites **ret_sites)
{
        static struct config_site entries[PATTERNS_MAX];
        static char texts[PATTERNS_MAX][SITE_HOST_BYTES_MAX];

        assert_true(count <= PATTERNS_MAX);
        for (size_t i = 0; i < count; i++) {
                (void)snprintf(texts[i], sizeof texts[i], "%s", patterns[i]);
                entries[i] = (struct config_site){.site = texts[i]};
        }
        int r = sites_new(entries, count, ret_sites);
        memset(texts, 'x', sizeof texts);
        return r;
}

/* Tells whether a host is on such a list, which is so at any moment. */
static bool allows(const struct sites *sites, const char *host)
{
        enum sites_verdict verdict = sites_check(sites, host, NOW);

        assert_int_not_equal(verdict, SITES_EXPIRED);
        assert_int_equal(sites_check(sites, host, INT64_MAX - 1), verdict);
        return verdict == SITES_ALLOW;
}

static void an_empty_list_allows_nothing(void **state)
{
        struct sites *sites;

        (void)state;
        assert_int_equal(sites_new(NULL, 0, &sites), 0);
        assert_false(allows(sites, "a.example"));
        assert_false(allows(sites, "localhost"));
        assert_false(allows(sites, "not-on-any-list.test"));
        sites_free(sites);
        sites_free(NULL);
}

static void a_list_allows_its_hosts_and_what_is_below_its_suffixes(void **state)
{
        static const char *const patterns[] = {
                "staging.example.com", "*.QA.example.com", "both.example",
                "*.both.example",      "10.0.0.1",         "*.0.0.2.example",
                "[2001:DB8:0::1]",     "localhost",        "localhost",
        };
        static const struct {
                const char *host;
                bool allowed;
        } cases[] = {
                {"staging.example.com", true},
                {"x.staging.example.com", false},
                {"xstaging.example.com", false},
                {"example.com", false},
                {"com", false},
                {"a.qa.example.com", true},
                {"b.a.qa.example.com", true},
                {"qa.example.com", false},
                {"xqa.example.com", false},
                {"a.qa.example.com.evil.example", false},
                {"both.example", true},
                {"x.both.example", true},
                {"10.0.0.1", true},
                {"10.0.0.2", false},
                {"[2001:db8::1]", true},
                {"[2001:db8::2]", false},
                {"localhost", true},
                {"", false},
        };
        struct sites *sites;

        (void)state;
        assert_int_equal(make_list(patterns, sizeof patterns / sizeof patterns[0], &sites), 0);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                if (allows(sites, cases[i].host) != cases[i].allowed)
                        fail_msg("%s", cases[i].host);
        }
        assert_false(allows(sites, "not-on-any-list.test"));
        sites_free(sites);
}

static void a_star_allows_every_host(void **state)
{
        static const char *const patterns[] = {"a.example", "*"};
        struct sites *sites;

        (void)state;
        assert_int_equal(make_list(patterns, 2, &sites), 0);
        assert_true(allows(sites, "not-on-any-list.test"));
        assert_true(allows(sites, "b.example"));
        assert_true(allows(sites, "[::1]"));
        sites_free(sites);
}

static void a_list_of_many_patterns_finds_each(void **state)
{
        static char names[2000][24];
        static const char *patterns[2000];
        struct sites *sites;

        (void)state;
        for (int i = 0; i < 2000; i++) {
                (void)snprintf(names[i], sizeof names[i], "h%d.example", i);
                patterns[i] = names[i];
        }
        assert_int_equal(make_list(patterns, 2000, &sites), 0);
        for (int i = 0; i < 2000; i++)
                assert_true(allows(sites, names[i]));
        assert_false(allows(sites, "h2000.example"));
        sites_free(sites);
}

static void an_entry_allows_until_its_last_moment_and_no_longer(void **state)
{
        char a[] = "a.example", b[] = "*.b.example", c[] = "c.example";
        const struct config_site entries[] = {
                {.site = a, .until_ms = LATER}, {.site = b, .until_ms = LATER}, {.site = c}};
        static const char *const covered[] = {"a.example", "x.b.example", "y.x.b.example"};
        struct sites *sites;

        (void)state;
        assert_int_equal(sites_new(entries, 3, &sites), 0);
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(sites_check(sites, covered[i], NOW), SITES_ALLOW);
                assert_int_equal(sites_check(sites, covered[i], LATER - 1), SITES_ALLOW);
                assert_int_equal(sites_check(sites, covered[i], LATER), SITES_EXPIRED);
                assert_int_equal(sites_check(sites, covered[i], INT64_MAX), SITES_EXPIRED);
        }
        assert_int_equal(sites_check(sites, "c.example", LATER), SITES_ALLOW);
        assert_int_equal(sites_check(sites, "b.example", NOW), SITES_DENY);
        assert_int_equal(sites_check(sites, "b.example", LATER), SITES_DENY);
        assert_int_equal(sites_check(sites, "x.a.example", LATER), SITES_DENY);
        sites_free(sites);
}

static void a_host_and_what_is_below_it_end_apart(void **state)
{
        char itself[] = "a.example", below[] = "*.a.example";
        const struct config_site entries[] = {{.site = itself, .until_ms = LATER},
                                              {.site = below, .until_ms = NOW}};
        struct sites *sites;

        (void)state;
        assert_int_equal(sites_new(entries, 2, &sites), 0);
        assert_int_equal(sites_check(sites, "a.example", NOW), SITES_ALLOW);
        assert_int_equal(sites_check(sites, "x.a.example", NOW), SITES_EXPIRED);
        assert_int_equal(sites_check(sites, "x.a.example", NOW - 1), SITES_ALLOW);
        sites_free(sites);
}

static void of_the_entries_that_cover_a_host_the_longest_lived_counts(void **state)
{
        static char host[] = "a.example", upper[] = "A.Example", wide[] = "*.example", all[] = "*";
        static const struct {
                struct config_site entries[2];
                enum sites_verdict at_later;
        } cases[] = {
                {{{host, NULL, NOW}, {upper, NULL, LATER + 1}}, SITES_ALLOW},
                {{{host, NULL, LATER + 1}, {upper, NULL, NOW}}, SITES_ALLOW},
                {{{host, NULL, 0}, {upper, NULL, NOW}}, SITES_ALLOW},
                {{{host, NULL, NOW}, {host, NULL, 0}}, SITES_ALLOW},
                {{{host, NULL, NOW}, {host, NULL, LATER}}, SITES_EXPIRED},
                {{{host, NULL, NOW}, {wide, NULL, 0}}, SITES_ALLOW},
                {{{host, NULL, 0}, {wide, NULL, NOW}}, SITES_ALLOW},
                {{{host, NULL, NOW}, {all, NULL, 0}}, SITES_ALLOW},
                {{{host, NULL, 0}, {all, NULL, NOW}}, SITES_ALLOW},
                {{{wide, NULL, NOW}, {all, NULL, LATER}}, SITES_EXPIRED},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct sites *sites;
                assert_int_equal(sites_new(cases[i].entries, 2, &sites), 0);
                if (sites_check(sites, "a.example", LATER) != cases[i].at_later)
                        fail_msg("case %zu", i);
                assert_int_equal(sites_check(sites, "a.example", NOW - 1), SITES_ALLOW);
                sites_free(sites);
        }
}

static void a_star_that_has_ended_allows_no_host(void **state)
{
        char all[] = "*";
        const struct config_site entry = {.site = all, .until_ms = LATER};
        struct sites *sites;

        (void)state;
        assert_int_equal(sites_new(&entry, 1, &sites), 0);
        assert_int_equal(sites_check(sites, "[::1]", LATER - 1), SITES_ALLOW);
        assert_int_equal(sites_check(sites, "[::1]", LATER), SITES_EXPIRED);
        assert_int_equal(sites_check(sites, "a.example", LATER), SITES_EXPIRED);
        sites_free(sites);
}

static void a_pattern_without_a_host_makes_no_list(void **state)
{
        static const char *const bad[] = {"", "*.", "*x.example", "a b", "*.*"};

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                const char *patterns[] = {"a.example", bad[i]};
                struct sites *sites = NULL;
                assert_int_equal(make_list(patterns, 2, &sites), -EINVAL);
                assert_null(sites);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_host_is_found_in_every_form_of_a_site),
                cmocka_unit_test(what_two_parsers_may_read_differently_is_refused),
                cmocka_unit_test(an_empty_list_allows_nothing),
                cmocka_unit_test(a_list_allows_its_hosts_and_what_is_below_its_suffixes),
                cmocka_unit_test(a_star_allows_every_host),
                cmocka_unit_test(a_list_of_many_patterns_finds_each),
                cmocka_unit_test(an_entry_allows_until_its_last_moment_and_no_longer),
                cmocka_unit_test(a_host_and_what_is_below_it_end_apart),
                cmocka_unit_test(of_the_entries_that_cover_a_host_the_longest_lived_counts),
                cmocka_unit_test(a_star_that_has_ended_allows_no_host),
                cmocka_unit_test(a_pattern_without_a_host_makes_no_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
