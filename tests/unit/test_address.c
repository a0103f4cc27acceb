/*
 * Tests of base/address.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_written(const struct in6_addr *address, const char *expected)
{
        char text[INET6_ADDRSTRLEN];

        assert_string_equal(inet_ntop(AF_INET6, address, text, sizeof text), expected);
}

static void an_address_is_read_with_or_without_brackets(void **state)
{
        static const char *const cases[][3] = {
                {"192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.7"},
                {"::ffff:192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.7"},
                {"[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
                {"2001:db8::1", "2001:db8::1", "2001:db8::"},
                {"::1", "::1", "::1"},
        };
        struct in6_addr address;

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_true(address_parse(cases[i][0], &address));
                assert_written(&address, cases[i][1]);
                address = address_network(address);
                assert_written(&address, cases[i][2]);
        }
}

static void what_is_not_an_address_in_numbers_is_refused(void **state)
{
        static const char *const texts[] = {"",          "[",     "[]",        "[192.0.2.7]",
                                            "127.1",     "[::1",  "::1]",      "localhost",
                                            "fe80::1%1", "1.2.3", "1.2.3.4:5", "[::1]:80"};
        struct in6_addr address;

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                assert_false(address_parse(texts[i], &address));
                assert_written(&address, "::");
        }
}

static void an_address_of_a_socket_is_of_either_family(void **state)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010203)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        const struct sockaddr other = {.sa_family = AF_UNIX};
        struct in6_addr address;

        (void)state;
        assert_true(address_of((const struct sockaddr *)&v4, &address));
        assert_written(&address, "::ffff:127.1.2.3");
        assert_true(address_is_loopback(&address));
        assert_true(address_of((const struct sockaddr *)&v6, &address));
        assert_true(address_is_loopback(&address));
        v6.sin6_addr.s6_addr[15] = 2;
        assert_true(address_of((const struct sockaddr *)&v6, &address));
        assert_false(address_is_loopback(&address));
        assert_false(address_of(&other, &address));
        assert_false(address_of(NULL, &address));
        assert_written(&address, "::");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_address_is_read_with_or_without_brackets),
                cmocka_unit_test(what_is_not_an_address_in_numbers_is_refused),
                cmocka_unit_test(an_address_of_a_socket_is_of_either_family),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
