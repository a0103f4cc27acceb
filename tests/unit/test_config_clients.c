/*
 * test_config_clients: the list of clients, with their tokens, limits and dates.
 */
#include "config_fixture.h"

#include "config/config_date.h"

#include <stdio.h>
#include <string.h>

static void a_client_has_what_is_set_and_no_other_limit(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM TWO
                     "weight = 3; max_in_flight = 4; rate = 0.5; burst = 7; daily_limit = 8;\n"
                     "monthly_limit = 9; sites = { allow = [ \"x.example\" ]; };\n"
                     "expires = \"1970-01-01\"; } );\n");
        assert_int_equal(fixture->config->clients_count, 2);
        const struct config_client *bare = &fixture->config->clients[0], *full = bare + 1;
        assert_string_equal(bare->name, "a");
        assert_string_equal(bare->token_sha256, DIGEST_A);
        assert_int_equal(bare->weight, 1);
        assert_int_equal(bare->max_in_flight, 0);
        assert_true(bare->rate == 0);
        assert_int_equal(bare->burst, 10);
        assert_int_equal(bare->daily_limit, 0);
        assert_int_equal(bare->monthly_limit, 0);
        assert_int_equal(bare->sites.allow.count, 0);
        assert_int_equal(bare->until_ms, 0);
        assert_string_equal(full->name, "b");
        assert_int_equal(full->weight, 3);
        assert_int_equal(full->max_in_flight, 4);
        assert_true(full->rate == 0.5);
        assert_int_equal(full->burst, 7);
        assert_int_equal(full->daily_limit, 8);
        assert_int_equal(full->monthly_limit, 9);
        assert_int_equal(full->sites.allow.count, 1);
        assert_string_equal(full->sites.allow.items[0].site, "x.example");
        assert_int_equal(full->until_ms, 86400000);
}

static void a_rate_is_a_number_with_or_without_a_fraction(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM CLIENT "rate = 3; } );\n");
        assert_true(fixture->config->clients[0].rate == 3);
        assert_loads(fixture, UPSTREAM CLIENT "rate = 0.001; } );\n");
        assert_true(fixture->config->clients[0].rate == 0.001);
        assert_refuses(fixture, UPSTREAM CLIENT "rate = 0; } );\n", 3, "clients[0].rate = 0",
                       "0.001 to 10000");
        assert_refuses(fixture, UPSTREAM CLIENT "rate = \"5\"; } );\n", 3, "a number is wanted",
                       "rate = 5.0;");
}

static void clients_with_the_same_name_or_token_are_refused(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture,
                       UPSTREAM CLIENT "},\n{ name = \"a\"; token_sha256 = \"" DIGEST_B
                                       "\"; } );\n",
                       4, "named \"a\"", "its own name");
        assert_refuses(fixture,
                       UPSTREAM CLIENT
                       "},\n{ name = \"b\";\n token_sha256 = \"AAAA"
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                       "\"; } );\n",
                       5, "\"a\" and \"b\"", "token new");
        assert_refuses(fixture,
                       UPSTREAM "clients = ( { token_sha256 = \"" DIGEST_A
                                "\";\nname = \"a b\"; } );",
                       3, "client name \"a b\"", "letters, digits");
        assert_loads(fixture, UPSTREAM TWO "} );\n");
}

static void no_message_quotes_what_stands_for_a_digest(void **state)
{
        static const char *const values[] = {
                "\"sgt_canary\"",
                "\"sgt_canaryabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdef\"",
                "\"" DIGEST_A "a\"",
                "sgt_canary",
                "sgt_canary = 3",
                "0123456789012345678901234567890123456789012345678901234567890123",
                "aaaaaa0000000000000000000000000000000000000000000000000000000000",
                "[ \"sgt_canary\" ]",
        };
        struct fixture *fixture = *state;
        char text[512];

        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                (void)snprintf(text, sizeof text,
                               UPSTREAM "clients = ( { name = \"a\"; token_sha256 =\n%s; } );",
                               values[i]);
                assert_true(load(fixture, text) < 0);
                if (strstr(fixture->problem.data, "canary") ||
                    strstr(fixture->problem.data, "0000000000") ||
                    strstr(fixture->problem.data, "0123456789") ||
                    strstr(fixture->problem.data, "aaaaaa"))
                        fail_msg("it is quoted: %s", fixture->problem.data);
                assert_non_null(strstr(fixture->problem.data, "; "));
        }
}

static void what_is_no_digest_is_told_how_to_make_one(void **state)
{
        static const char *const values[] = {
                "\u2026",
                "...",
                "<64 hex digits>",
                "sgt_canary",
                DIGEST_A "a",
                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
        };
        struct fixture *fixture = *state;
        char text[512];

        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                (void)snprintf(text, sizeof text,
                               UPSTREAM "clients = ( { name = \"a\"; token_sha256 =\n\"%s\"; } );",
                               values[i]);
                assert_refuses(fixture, text, 2, "clients[0].token_sha256 h",
                               "write the 64 hexadecimal digits that solvegatectl token new NAME "
                               "prints");
        }
}

static void a_burst_needs_a_rate(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM TWO "\nburst = 10; } );\n", 5, "clients[1] has a burst",
                       "add rate");
        assert_loads(fixture, UPSTREAM TWO "burst = 3; rate = 1.0; } );\n");
}

static void a_date_is_a_real_day_and_ends_with_it(void **state)
{
        static const struct {
                const char *date;
                int64_t end_ms;
        } good[] = {
                {"1970-01-01", 86400000},        {"2024-02-29", 1709251200000},
                {"2026-12-31", 1798761600000},   {"2000-02-29", 951868800000},
                {"9999-12-31", 253402300800000},
        };
        static const char *const bad[] = {
                "2027-02-29", "2100-02-29", "2027-04-31",  "2027-00-10", "2027-13-01",
                "2027-01-00", "2027-1-1",   "27-01-01",    "2027/01/31", "2027-01-31 ",
                " 2027-01-3", "2027-01-3x", "1969-12-31",  "0000-01-01", "+027-01-31",
                "",           "tomorrow",   "2027-01-31Z",
        };
        struct fixture *fixture = *state;
        char text[256];

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM CLIENT "expires = \"%s\"; } );",
                               good[i].date);
                assert_loads(fixture, text);
                assert_int_equal(fixture->config->clients[0].until_ms, good[i].end_ms);
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM CLIENT "expires = \"%s\"; } );", bad[i]);
                assert_refuses(fixture, text, 3, "is no day", "\"2027-01-31\"");
        }
        assert_refuses(fixture, UPSTREAM CLIENT "expires = 20270131; } );", 3, "a date in double",
                       "\"2027-01-31\"");
}

static void a_moment_is_written_as_its_day(void **state)
{
        static const struct {
                int64_t moment_ms;
                const char *day;
        } days[] = {
                {0, "1970-01-01"},
                {86399999, "1970-01-01"},
                {86400000, "1970-01-02"},
                {1709251199999, "2024-02-29"},
                {253402300799999, "9999-12-31"},
                {253402300800000, "9999-12-31"},
                {INT64_MAX, "9999-12-31"},
        };
        char day[CONFIG_DATE_BYTES];

        (void)state;
        for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
                config_date_write(days[i].moment_ms, day);
                assert_string_equal(day, days[i].day);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(a_client_has_what_is_set_and_no_other_limit),
                ON_DIRECTORY(a_rate_is_a_number_with_or_without_a_fraction),
                ON_DIRECTORY(clients_with_the_same_name_or_token_are_refused),
                ON_DIRECTORY(no_message_quotes_what_stands_for_a_digest),
                ON_DIRECTORY(what_is_no_digest_is_told_how_to_make_one),
                ON_DIRECTORY(a_burst_needs_a_rate),
                ON_DIRECTORY(a_date_is_a_real_day_and_ends_with_it),
                cmocka_unit_test(a_moment_is_written_as_its_day),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
