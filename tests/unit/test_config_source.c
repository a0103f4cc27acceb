/*
 * test_config_source: which file and line a problem names, files that are included, and what is
 * no configuration.
 */
#include "config_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void an_unknown_key_is_told_the_nearest_one_or_where_it_belongs(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "wokers = 2;\n", 2, "\"wokers\" at the top level",
                       "\"workers\"");
        assert_refuses(fixture, UPSTREAM "Workers = 2;\n", 2, "\"Workers\"", "\"workers\"");
        assert_refuses(fixture, UPSTREAM "solve_hold = 2;\n", 2, "at the top level",
                       "belongs in answers");
        assert_refuses(fixture, UPSTREAM "log = {\n workers = 2;\n};\n", 3, "in log",
                       "belongs in the top level");
        assert_refuses(fixture, UPSTREAM "poll = { frist = 2; };\n", 2, "in poll", "\"first\"");
        assert_refuses(fixture, "upstreams = (\n {\n  keys = 1;\n }\n);\n", 3, "in upstreams[0]",
                       "nearest");
}

static void the_line_of_a_missing_key_is_that_of_its_group(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, "workers = 2;\n", 1, "no \"upstreams\"", "upstreams = (");
        assert_refuses(fixture, "\nupstreams = (\n  { name = \"a\"; url = \"https://h\"; }\n);\n",
                       3, "upstreams[0] has no \"credential\"", "add credential = ");
        assert_refuses(fixture, "\nupstreams = ( );\n", 2, "0 elements", "1 to 64");
}

static void a_problem_in_an_included_file_names_that_file(void **state)
{
        static const char text[] = "server_names = [ ];\nlog = { level = \"loud\"; };\n";
        struct fixture *fixture = *state;
        char place[160];

        write_file(fixture, "log.conf", text, strlen(text));
        assert_true(load(fixture, "workers = 2;\n@include \"log.conf\"\n" UPSTREAM) < 0);
        (void)snprintf(place, sizeof place, "%s/log.conf:2: log.level = \"loud\"",
                       fixture->directory);
        assert_ptr_equal(strstr(fixture->problem.data, place), fixture->problem.data);
}

static void lines_behind_an_include_keep_their_numbers(void **state)
{
        static const char text[] = "\n\n\nserver_names = [ ];\n";
        struct fixture *fixture = *state;

        write_file(fixture, "names.conf", text, strlen(text));
        assert_loads(fixture, "@include \"names.conf\"\n" UPSTREAM "workers = 3;\n");
        assert_int_equal(fixture->config->workers, 3);
        assert_refuses(fixture, "@include \"names.conf\"\n" UPSTREAM "workers = 0;\n", 3,
                       "workers = 0", "1 to 64");
}

static void an_element_has_the_line_it_stands_in(void **state)
{
        static const char fragment[] = ", \"d.example\",\n\"bad:80\"\n";
        struct fixture *fixture = *state;

        assert_refuses(fixture,
                       UPSTREAM "sites = { allow = [\n\n \"a.example\",\n \"bad:80\"\n\n];};", 5,
                       "bad:80", "host name");
        assert_refuses(fixture,
                       UPSTREAM
                       "sites = { allow = [ \"a.example\"\n , \"bad:80\" // x\n , \"c\"\n];};",
                       3, "bad:80", "host name");
        assert_refuses(fixture,
                       UPSTREAM "server_names = (\n\"a.example\"\n);\nlisten = ( { } );\n"
                                "sites = { allow = [ \"b\",\"c\",\n\"bad:80\"\n];};",
                       7, "bad:80", "host name");
        write_file(fixture, "sites.conf", fragment, strlen(fragment));
        assert_true(load(fixture, UPSTREAM "sites = { allow = [ \"a\"\n"
                                           "@include \"sites.conf\"\n]; };\n") < 0);
        assert_non_null(strstr(fixture->problem.data, "/sites.conf:2: "));
}

static void an_include_that_cannot_be_read_is_refused_and_ends_no_process(void **state)
{
        struct fixture *fixture = *state;
        char fifo[192];

        (void)snprintf(fifo, sizeof fifo, "%s/fifo", fixture->directory);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_refuses(fixture, UPSTREAM "@include \".\"\n", 2, "directory", "name the file");
        assert_refuses(fixture, UPSTREAM "@include \"none\"\n", 2, "does not exist", "path");
        assert_refuses(fixture, UPSTREAM "@include \"fifo\"\n", 2, "no regular file", "on disk");
        assert_refuses(fixture, UPSTREAM "@include log.conf\n", 2, "@include", "\"FILE\"");
        assert_refuses(fixture, "@include \"solvegate.conf\"\n", 1, "too many", "includes itself");
        assert_loads(fixture, UPSTREAM "/*\n@include \"none\"\n*/\n");
}

static void a_setting_given_twice_is_named_with_the_line_of_the_first(void **state)
{
        static const char more[] = "\nworkers = 3;\n";
        static const char included[] = "\n\nworkers = 2;\n";
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "workers = 2;\n\nworkers = 2;\n", 4,
                       "\"workers\" stands above it in the same group, in line 2;", "put both");
        assert_refuses(fixture, UPSTREAM "workers = 2; workers = 2;\n", 2,
                       "\"workers\" stands above it in the same group, in line 2", "put both");
        assert_refuses(fixture,
                       UPSTREAM "/* log\nlog */ log = { level = \"info\"; # level\n"
                                "format = \"text\"; // level = {\n\n level = \"log\"; };\n",
                       6, "\"level\" stands above it in the same group, in line 3;", "put both");
        assert_refuses(fixture,
                       "upstreams = (\n{ name = \"name\"; url = \"https://h\";\n"
                       "credential = \"c\"; },\n{ name = \"b\";\nname = \"c\"; } );\n",
                       5, "\"name\" stands above it in the same group, in line 4;", "put both");
        assert_refuses(fixture,
                       UPSTREAM "poll = { cap = 2.0; };\nretry = { cap = 3.0; };\npoll:{};", 4,
                       "\"poll\" stands above it in the same group, in line 2;", "put both");
        assert_refuses(fixture,
                       UPSTREAM CLIENT "sites = { allow = [ \"x\" ]; }; } );\n"
                                       "sites = { allow = [ \"x\" ]; };\nlog = { };\nlog = { };\n",
                       6, "\"log\" stands above it in the same group, in line 5;", "put both");
        write_file(fixture, "included.conf", included, strlen(included));
        assert_refuses(fixture, UPSTREAM "@include \"included.conf\"\nworkers = 2;\n", 3,
                       "/included.conf", "put both");
        assert_non_null(strstr(fixture->problem.data, "in line 3 of "));
        write_file(fixture, "more.conf", more, strlen(more));
        assert_true(load(fixture, UPSTREAM "workers = 2;\n@include \"more.conf\"\n") < 0);
        assert_non_null(strstr(fixture->problem.data, "more.conf:2: \"workers\" stands above it"));
        assert_non_null(strstr(fixture->problem.data, "in line 2 of "));
        assert_loads(fixture, UPSTREAM "poll = { cap = 2.0; };\nretry = { cap = 3.0; };\n");
}

static void a_problem_is_one_line_whatever_stands_in_the_file(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "log = { level = \"a\\nb\\x1b[2J\"; };\n", 2, "a?b?[2J",
                       "info");
        assert_refuses(fixture, UPSTREAM "server_names = [ \"a\\tb\" ];\n", 2, "control character",
                       "printable");
}

static void what_is_no_configuration_file_is_refused_by_name(void **state)
{
        struct fixture *fixture = *state;
        size_t len = 1024 * 1024 + 1;
        char *large = malloc(len);

        assert_non_null(large);
        assert_int_equal(load_file(fixture, "/nonexistent/solvegate.conf"), -ENOENT);
        assert_string_equal(fixture->problem.data,
                            "/nonexistent/solvegate.conf: does not exist; name another file with "
                            "-c FILE, or copy the sample: " SOLVEGATE_SAMPLE
                            ", or conf/solvegate.conf in the source");
        assert_true(load_file(fixture, fixture->directory) < 0);
        assert_non_null(strstr(fixture->problem.data, ": is a directory; "));
        memset(large, '\n', len);
        write_file(fixture, "solvegate.conf", large, len);
        assert_true(load_file(fixture, fixture->file) < 0);
        assert_non_null(strstr(fixture->problem.data, ": is larger than 1 MiB"));
        write_file(fixture, "solvegate.conf", "a\0b", 3);
        assert_true(load_file(fixture, fixture->file) < 0);
        assert_non_null(strstr(fixture->problem.data, ":1: a NUL byte; "));
        free(large);
}

static void nesting_has_a_ceiling(void **state)
{
        struct fixture *fixture = *state;
        char deep[2048] = "a = ";

        memset(deep + 4, '(', 1000);
        assert_refuses(fixture, deep, 1, "more than 16 brackets", "remove");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(an_unknown_key_is_told_the_nearest_one_or_where_it_belongs),
                ON_DIRECTORY(the_line_of_a_missing_key_is_that_of_its_group),
                ON_DIRECTORY(a_problem_in_an_included_file_names_that_file),
                ON_DIRECTORY(lines_behind_an_include_keep_their_numbers),
                ON_DIRECTORY(an_element_has_the_line_it_stands_in),
                ON_DIRECTORY(an_include_that_cannot_be_read_is_refused_and_ends_no_process),
                ON_DIRECTORY(a_setting_given_twice_is_named_with_the_line_of_the_first),
                ON_DIRECTORY(a_problem_is_one_line_whatever_stands_in_the_file),
                ON_DIRECTORY(what_is_no_configuration_file_is_refused_by_name),
                ON_DIRECTORY(nesting_has_a_ceiling),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
