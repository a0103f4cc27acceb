/*
 * test_config_sites: the allow lists of sites, everyone's and a client's.
 */
#include "config_fixture.h"

#include <string.h>

static void the_list_of_a_client_has_an_entry_at_least(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM CLIENT "sites = { }; } );\n", 3,
                       "clients[0].sites has no \"allow\"", "add allow = ");
        assert_refuses(fixture, UPSTREAM CLIENT "sites = {\nallow = [ ]; }; } );\n", 4,
                       "clients[0].sites.allow has 0 elements", "1 to 10000");
        assert_refuses(fixture, UPSTREAM TWO "sites = { allow = [ \"x\",\n\"a:80\" ]; }; } );\n", 5,
                       "\"a:80\"", "host name");
}

static void an_entry_of_an_allow_list_is_a_text_or_a_group(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM
                     "sites = { allow = ( \"a.example\", { site = \"b.example\"; note = \"why\";\n"
                     "expires = \"2027-01-31\"; }, { site = \"c.example\"; } ); };\n");
        const struct config_sites *allow = &fixture->config->sites.allow;
        assert_int_equal(allow->count, 3);
        assert_string_equal(allow->items[0].site, "a.example");
        assert_null(allow->items[0].note);
        assert_int_equal(allow->items[0].until_ms, 0);
        assert_string_equal(allow->items[1].site, "b.example");
        assert_string_equal(allow->items[1].note, "why");
        assert_int_equal(allow->items[1].until_ms, 1801440000000); /* 2027-02-01T00:00:00Z */
        assert_string_equal(allow->items[2].site, "c.example");
        assert_loads(fixture, UPSTREAM "sites = { allow = [ \"a.example\", \"b.example\" ]; };\n");
        assert_int_equal(fixture->config->sites.allow.count, 2);
        assert_string_equal(fixture->config->sites.allow.items[1].site, "b.example");
        assert_loads(fixture, UPSTREAM "sites = { allow = ( ); };\n");
        assert_int_equal(fixture->config->sites.allow.count, 0);
}

static void what_is_no_entry_of_an_allow_list_is_refused_with_a_cure(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "sites = { allow = ( \"a\",\n 3 ); };\n", 3,
                       "sites.allow[1] is a whole number", "allow = [");
        assert_refuses(fixture, UPSTREAM "sites = { allow = ( \"a\", ( \"b\" ) ); };\n", 2,
                       "sites.allow[1] is a list", "allow = [");
        assert_refuses(fixture, UPSTREAM "sites = { allow = [ \"a\",\n{ site = \"b\"; } ]; };\n", 3,
                       "{ stands in an array", "( and )");
        assert_refuses(fixture, UPSTREAM "sites = { allow = (\n{ note = \"b\"; } ); };\n", 3,
                       "sites.allow[0] has no \"site\"", "add site");
        assert_refuses(fixture, UPSTREAM "sites = { allow = [ \"\" ]; };\n", 2,
                       "sites.allow[0] has 0 bytes", "1 to 255");
        assert_refuses(fixture, UPSTREAM "sites = { allow = (\n{ sight = \"b\"; } ); };\n", 3,
                       "\"sight\" in sites.allow[0]", "\"site\"");
        assert_refuses(fixture, UPSTREAM "site = \"a\";\n", 2, "at the top level",
                       "sites.allow[] or clients[].sites.allow[]");
}

/* See correct_lines() in config_load.c. */
static void texts_and_groups_of_one_list_have_the_lines_they_stand_in(void **state)
{
        static const char fragment[] = ", { site = \"x\"; },\n\"bad:80\"\n";
        struct fixture *fixture = *state;

        assert_refuses(fixture,
                       UPSTREAM "sites = { allow = ( \"a\",\n{ site = \"b\";\n note = \"n\"; },\n"
                                "\"c\", \"bad:80\"\n,\n\"d\" ); };\n",
                       5, "bad:80", "host name");
        assert_refuses(fixture,
                       UPSTREAM "sites = { allow = ( \"a\"\n, \"b\",\n{ note = \"n\";\n"
                                "site = \"bad:80\"\n;\n}, \"c\" ); };\n",
                       5, "bad:80", "host name");
        assert_refuses(fixture,
                       UPSTREAM TWO "sites = { allow = ( { site = \"x\"; },\n\"y\"\n, \"bad:80\"\n,"
                                    "\"z\" ); };\n} );\nserver_names = [ \"n\" ];\n",
                       6, "bad:80", "host name");
        assert_refuses(fixture,
                       UPSTREAM "sites = { allow = ( { site = \"x\"; }, \"a\" ); };\n"
                                "server_names = [\n\"n\"\n, \"bad:80\"\n];\n",
                       5, "bad:80", "host name");
        write_file(fixture, "sites.conf", fragment, strlen(fragment));
        assert_true(load(fixture, UPSTREAM "sites = { allow = ( \"a\"\n"
                                           "@include \"sites.conf\"\n); };\n") < 0);
        assert_non_null(strstr(fixture->problem.data, "/sites.conf:2: "));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(the_list_of_a_client_has_an_entry_at_least),
                ON_DIRECTORY(an_entry_of_an_allow_list_is_a_text_or_a_group),
                ON_DIRECTORY(what_is_no_entry_of_an_allow_list_is_refused_with_a_cure),
                ON_DIRECTORY(texts_and_groups_of_one_list_have_the_lines_they_stand_in),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
