/*
 * test_config: the table of keys, the reader, and the checks. What the sample
 * configuration and docs/configuration.md say is checked by test_config_documents.
 */
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UPSTREAM "upstreams = ( { name = \"u\"; url = \"https://h\"; credential = \"c\"; } );\n"

/* A directory for one test, and what the last load said. */
struct fixture {
        char directory[64];
        char file[128];
        struct config *config;
        struct strbuf problem;
};

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof *fixture);

        assert_non_null(fixture);
        strcpy(fixture->directory, "/tmp/test_config.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        (void)snprintf(fixture->file, sizeof fixture->file, "%s/solvegate.conf",
                       fixture->directory);
        strbuf_init(&fixture->problem, 8192);
        *state = fixture;
        return unsetenv("STATE_DIRECTORY");
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;
        char command[128];

        config_free(fixture->config);
        strbuf_done(&fixture->problem);
        (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
        int r = system(command);
        free(fixture);
        return r;
}

static void write_file(const struct fixture *fixture, const char *name, const char *text,
                       size_t len)
{
        char path[192];

        (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
}

static int load_file(struct fixture *fixture, const char *file)
{
        config_free(fixture->config);
        fixture->config = NULL;
        strbuf_done(&fixture->problem);
        return config_load(file, &fixture->config, &fixture->problem);
}

static int load(struct fixture *fixture, const char *text)
{
        write_file(fixture, "solvegate.conf", text, strlen(text));
        return load_file(fixture, fixture->file);
}

static void assert_loads(struct fixture *fixture, const char *text)
{
        if (load(fixture, text) < 0)
                fail_msg("refused: %s", fixture->problem.data);
        assert_non_null(fixture->config);
        assert_int_equal(fixture->problem.len, 0);
}

/* One line `FILE:LINE: …; …` with both words, and no configuration. */
static void assert_refuses(struct fixture *fixture, const char *text, unsigned line,
                           const char *what, const char *cure)
{
        char place[160];

        assert_true(load(fixture, text) < 0);
        assert_null(fixture->config);
        const char *problem = fixture->problem.data;
        assert_non_null(problem);
        (void)snprintf(place, sizeof place, "%s:%u: ", fixture->file, line);
        if (strncmp(problem, place, strlen(place)) != 0)
                fail_msg("wanted %s, got: %s", place, problem);
        const char *semicolon = strstr(problem, "; ");
        assert_non_null(semicolon);
        if (!strstr(problem, what) || !strstr(semicolon, cure))
                fail_msg("wanted \"%s\" and \"%s\" in: %s", what, cure, problem);
        assert_null(strpbrk(problem, "\n\r\t"));
}

/*
 * libconfig.so has a strbuf_append() of its own. Were ours exported from the program, the dynamic
 * linker would give ours to libconfig, and its scanner would corrupt memory.
 */
static void our_functions_do_not_replace_those_of_libconfig(void **state)
{
        (void)state;
        void *exported = dlsym(RTLD_DEFAULT, "strbuf_append");
        int (*ours)(struct strbuf *, const void *, size_t) = strbuf_append;
        void *own;

        memcpy(&own, &ours, sizeof own);
        assert_ptr_not_equal(exported, own);
}

static void a_file_with_upstreams_only_has_the_defaults_of_the_contract(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM);
        const struct config *config = fixture->config;
        assert_string_equal(config->file, fixture->file);
        assert_int_equal(config->listen_count, 1);
        assert_string_equal(config->listen[0].address, "127.0.0.1");
        assert_int_equal(config->listen[0].port, 8118);
        assert_int_equal(config->server_names.count, 0);
        assert_null(config->admin.address);
        assert_int_equal(config->workers, 2);
        assert_string_equal(config->state_directory, "/var/lib/solvegate");
        assert_int_equal(config->durability, DURABILITY_FULL);
        assert_int_equal(config->upstreams_count, 1);
        assert_int_equal(config->upstreams[0].api, 1);
        assert_int_equal(config->upstreams[0].max_in_flight, 10);
        assert_int_equal(config->upstreams[0].priority, 0);
        assert_null(config->upstreams[0].ca);
        assert_int_equal(config->sites.allow.count, 0);
        assert_int_equal(config->answers.solve_hold_ms, 10000);
        assert_int_equal(config->answers.status_hold_ms, 0);
        assert_int_equal(config->results.ttl_ms, 3600000);
        assert_int_equal(config->results.bytes, 67108864);
        assert_true(config->results.share);
        assert_int_equal(config->retry.attempts, 4);
        assert_int_equal(config->retry.base_ms, 250);
        assert_int_equal(config->retry.cap_ms, 10000);
        assert_int_equal(config->retry.on_unknown, ON_UNKNOWN_FAIL);
        assert_int_equal(config->retry.probe_ms, 2000);
        assert_int_equal(config->retry.recheck_ms, 60000);
        assert_int_equal(config->poll.first_ms, 500);
        assert_int_equal(config->poll.interval_ms, 1000);
        assert_int_equal(config->poll.cap_ms, 5000);
        assert_int_equal(config->limits.queue_jobs, 10000);
        assert_int_equal(config->limits.queue_bytes, 1073741824);
        assert_int_equal(config->limits.body_bytes, 8388608);
        assert_int_equal(config->limits.images, 64);
        assert_int_equal(config->limits.connections, 10000);
        assert_int_equal(config->limits.header_timeout_ms, 10000);
        assert_int_equal(config->limits.body_timeout_ms, 60000);
        assert_int_equal(config->limits.job_deadline_ms, 120000);
        assert_int_equal(config->limits.drain_timeout_ms, 30000);
        assert_int_equal(config->log.level, LOG_LEVEL_INFO);
        assert_int_equal(config->log.format, LOG_FORMAT_TEXT);
}

static void every_kind_of_value_is_read(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(
                fixture,
                "listen = ( { address = \"::1\"; port = 0; }, { address = \"127.0.0.2\"; } );\n"
                "server_names = [ \"a.example\", \"B.example\" ];\n"
                "upstreams = ( { name = \"a\"; url = \"http://[::1]:80\"; api = 2;\n"
                "  credential = \"c\"; max_in_flight = 3; priority = 7; },\n"
                "  { name = \"b\"; url = \"https://h:8443\"; credential = \"c\"; } );\n"
                "sites = { allow = ( \"x.example\", \"*.y.example\", \"*\" ); };\n"
                "admin = { address = \"::1\"; port = 0; };\n"
                "state_directory = \"/srv/state\";\n"
                "durability = \"none\";\n"
                "answers = { solve_hold = 1; status_hold = 0.25; };\n"
                "results = { share = false; };\n"
                "retry = { attempts = 1; base = 0.01; cap = 0.5; on_unknown = \"retry\";\n"
                "  probe = 0.2; recheck = 3; };\n"
                "limits = { queue_bytes = 4294967296L; body_bytes = 0x100000; };\n"
                "log = { level = \"debug\"; format = \"json\"; };\n");
        const struct config *config = fixture->config;
        assert_int_equal(config->listen_count, 2);
        assert_string_equal(config->listen[0].address, "::1");
        assert_int_equal(config->listen[0].port, 0);
        assert_string_equal(config->listen[1].address, "127.0.0.2");
        assert_int_equal(config->listen[1].port, 8118);
        assert_int_equal(config->server_names.count, 2);
        assert_string_equal(config->server_names.items[1], "B.example");
        assert_int_equal(config->upstreams_count, 2);
        assert_string_equal(config->upstreams[0].url, "http://[::1]:80");
        assert_int_equal(config->upstreams[0].api, 2);
        assert_int_equal(config->upstreams[0].max_in_flight, 3);
        assert_int_equal(config->upstreams[0].priority, 7);
        assert_string_equal(config->upstreams[1].name, "b");
        assert_int_equal(config->sites.allow.count, 3);
        assert_string_equal(config->sites.allow.items[1], "*.y.example");
        assert_string_equal(config->admin.address, "::1");
        assert_int_equal(config->admin.port, 0);
        assert_string_equal(config->state_directory, "/srv/state");
        assert_int_equal(config->durability, DURABILITY_NONE);
        assert_false(config->results.share);
        assert_int_equal(config->retry.attempts, 1);
        assert_int_equal(config->retry.base_ms, 10);
        assert_int_equal(config->retry.cap_ms, 500);
        assert_int_equal(config->retry.on_unknown, ON_UNKNOWN_RETRY);
        assert_int_equal(config->retry.probe_ms, 200);
        assert_int_equal(config->retry.recheck_ms, 3000);
        assert_int_equal(config->answers.solve_hold_ms, 1000);
        assert_int_equal(config->answers.status_hold_ms, 250);
        assert_int_equal(config->limits.queue_bytes, 4294967296);
        assert_int_equal(config->limits.body_bytes, 1048576);
        assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
        assert_int_equal(config->log.format, LOG_FORMAT_JSON);
}

static void a_number_that_would_wrap_around_is_refused(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "workers = 4294967297;\n", 2, "4294967297", "an L");
        assert_refuses(fixture, UPSTREAM "workers = 0xFFFFFFFF;\n", 2, "0xFFFFFFFF", "an L");
        assert_refuses(fixture, UPSTREAM "workers = -2147483649;\n", 2, "-2147483649", "an L");
        assert_refuses(fixture, UPSTREAM "workers = 99999999999999999999L;\n", 2, "too large",
                       "smaller");
        assert_refuses(fixture, UPSTREAM "workers = 4294967297L;\n", 2, "out of bounds", "1 to 64");
        assert_refuses(fixture, UPSTREAM "answers = { solve_hold = 1.0e999; };\n", 2, "inf",
                       "0 to 3600");
}

static void both_ends_of_the_bounds_are_allowed_and_what_lies_beyond_is_not(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM "workers = 1;\n");
        assert_loads(fixture, UPSTREAM "workers = 64;\n");
        assert_refuses(fixture, UPSTREAM "workers = 0;\n", 2, "workers = 0", "1 to 64");
        assert_refuses(fixture, UPSTREAM "workers = 65;\n", 2, "workers = 65", "1 to 64");
        assert_loads(fixture, UPSTREAM "poll = { first = 0.01; };\n");
        assert_refuses(fixture, UPSTREAM "poll = { first = 0.009; };\n", 2, "0.009", "0.01");
        assert_loads(fixture, UPSTREAM "results = { bytes = 68719476736L; };\n");
        assert_refuses(fixture, UPSTREAM "results = { bytes = 68719476737L; };\n", 2,
                       "results.bytes", "68719476736");
        assert_loads(fixture, UPSTREAM "retry = { attempts = 100; };\n");
        assert_refuses(fixture, UPSTREAM "retry = { attempts = 101; };\n", 2, "101", "1 to 100");
        assert_refuses(fixture, UPSTREAM "retry = { attempts = 0; };\n", 2, "= 0", "1 to 100");
        /* SQLite takes no value of more than 1,000,000,000 bytes, and a body is one. */
        assert_loads(fixture, UPSTREAM "limits = { body_bytes = 1000000000; };\n");
        assert_refuses(fixture, UPSTREAM "limits = { body_bytes = 1000000001; };\n", 2,
                       "limits.body_bytes", "1000000000");
}

static void a_truth_value_is_true_or_false_and_nothing_else(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM "results = { share = true; };\n");
        assert_true(fixture->config->results.share);
        assert_loads(fixture, UPSTREAM "results = { share = FALSE; };\n");
        assert_false(fixture->config->results.share);
        assert_refuses(fixture, UPSTREAM "results = {\n share = 0;\n};\n", 3,
                       "results.share is a whole number", "share = true;");
        assert_refuses(fixture, UPSTREAM "results = { share = \"false\"; };\n", 2,
                       "true or false is wanted", "share = true;");
}

static void there_is_an_admin_address_only_where_the_group_stands(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM "admin = { };\n");
        assert_string_equal(fixture->config->admin.address, "127.0.0.1");
        assert_int_equal(fixture->config->admin.port, 8119);
        assert_refuses(fixture, UPSTREAM "admin = 8119;\n", 2, "admin is a whole number",
                       "admin = { address = \"127.0.0.1\"; port = 8119; };");
        assert_refuses(fixture, UPSTREAM "admin = {\n socket = \"/run/x\";\n};\n", 3,
                       "\"socket\" in admin", "nearest");
}

static void an_admin_address_is_of_loopback_and_not_that_of_a_listener(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "admin = {\n address = \"0.0.0.0\";\n};\n", 3,
                       "not of the loopback", "127.0.0.1");
        assert_refuses(fixture, UPSTREAM "admin = { address = \"localhost\"; };\n", 2,
                       "is no IPv4 or IPv6 address", "without brackets");
        assert_refuses(fixture, UPSTREAM "\nadmin = { port = 8118; };\n", 3, "listen[0]",
                       "a port of its own");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { }, { address = \"::1\"; } );\n"
                                "admin = { address = \"0::1\"; port = 8118; };\n",
                       3, "listen[1]", "a port of its own");
        assert_loads(fixture, UPSTREAM "admin = { address = \"::1\"; port = 8118; };\n");
        assert_loads(fixture, UPSTREAM "listen = ( { port = 0; } ); admin = { port = 0; };\n");
}

static void assert_state_directory(const struct fixture *fixture, const char *directory,
                                   const char *wanted)
{
        char whole[256];

        (void)snprintf(whole, sizeof whole, "%s%s", directory, wanted);
        assert_string_equal(fixture->config->state_directory, whole);
}

static void a_relative_state_directory_counts_from_the_configuration_file(void **state)
{
        static const char text[] = "state_directory = \"deep/state\";\n";
        struct fixture *fixture = *state;
        char included[160], *before = getcwd(NULL, 0);

        assert_loads(fixture, UPSTREAM "state_directory = \"deep/state\";\n");
        assert_state_directory(fixture, fixture->directory, "/deep/state");
        (void)snprintf(included, sizeof included, "%s/inner", fixture->directory);
        assert_int_equal(mkdir(included, 0700), 0);
        write_file(fixture, "inner/state.conf", text, strlen(text));
        assert_loads(fixture, UPSTREAM "@include \"inner/state.conf\"\n");
        assert_state_directory(fixture, fixture->directory, "/deep/state");
        assert_non_null(before);
        assert_int_equal(chdir(included), 0);
        assert_int_equal(load_file(fixture, "../solvegate.conf"), 0);
        assert_int_equal(chdir(fixture->directory), 0);
        assert_state_directory(fixture, fixture->directory, "/deep/state");
        assert_int_equal(load_file(fixture, "solvegate.conf"), 0);
        assert_int_equal(chdir(before), 0);
        assert_state_directory(fixture, fixture->directory, "/deep/state");
        free(before);
}

static void the_first_directory_that_systemd_gives_comes_before_the_default(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1), 0);
        assert_loads(fixture, UPSTREAM);
        assert_state_directory(fixture, "", "/var/lib/a");
        assert_loads(fixture, UPSTREAM "state_directory = \"/srv/c\";\n");
        assert_state_directory(fixture, "", "/srv/c");
        assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/a", 1), 0);
        assert_loads(fixture, UPSTREAM);
        assert_state_directory(fixture, "", "/var/lib/a");
        assert_int_equal(setenv("STATE_DIRECTORY", "", 1), 0);
        assert_loads(fixture, UPSTREAM);
        assert_state_directory(fixture, "", "/var/lib/solvegate");
        assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

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
        assert_string_equal(fixture->problem.data, "/nonexistent/solvegate.conf: does not exist; "
                                                   "correct the path, or create the file");
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

static void addresses_and_urls_that_would_expose_the_key_are_refused(void **state)
{
        static const struct {
                const char *url, *what, *cure;
        } bad[] = {
                {"http://pro.example", "clear text", "https://"},
                {"http://127.0.0.1.example", "clear text", "https://"},
                {"http://10.0.0.1:80", "clear text", "https://"},
                {"http://[::2]", "clear text", "https://"},
                {"https://pro.example/", "slash", "remove"},
                {"https://pro.example/api", "path", "end it"},
                {"https://pro.example?x", "query", "end it"},
                {"https://u:p@pro.example", "user information", "credential"},
                {"https://pro.example:0", "port", "1 to 65535"},
                {"https://pro.example:", "port", "1 to 65535"},
                {"https://pro.example:65536", "port", "1 to 65535"},
                {"https://[::1]x", "between", "PORT"},
                {"https://[::1", "no IPv6", "such as"},
                {"https://", "no host", "behind"},
                {"ftp://pro.example", "https://", "https://"},
                {"HTTPS://pro.example", "https://", "lower case"},
        };
        struct fixture *fixture = *state;
        char text[512];

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                (void)snprintf(
                        text, sizeof text,
                        "upstreams = ( { name = \"u\"; credential = \"c\";\n url = \"%s\"; } );",
                        bad[i].url);
                assert_refuses(fixture, text, 2, bad[i].what, bad[i].cure);
        }
}

static void http_is_allowed_towards_loopback(void **state)
{
        static const char *const good[] = {"http://127.0.0.1", "http://127.8.8.8:1",
                                           "http://[::1]:65535", "http://localhost:80",
                                           "http://LocalHost"};
        struct fixture *fixture = *state;
        char text[256];

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                (void)snprintf(
                        text, sizeof text,
                        "upstreams = ( { name = \"u\"; credential = \"c\"; url = \"%s\"; } );",
                        good[i]);
                assert_loads(fixture, text);
        }
}

static void keys_at_odds_are_refused_at_the_line_that_sets_them(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "poll = {\n first = 6;\n};\n", 3, "poll.first", "lower");
        assert_refuses(fixture, UPSTREAM "poll = {\n interval = 6;\n};\n", 3, "poll.interval",
                       "lower");
        assert_refuses(fixture, UPSTREAM "poll = {\n cap = 0.7;\n};\n", 3, "poll.interval", "cap");
        assert_refuses(fixture, UPSTREAM "retry = {\n base = 11;\n};\n", 3, "retry.base (11)",
                       "lower base");
        assert_refuses(fixture, UPSTREAM "retry = {\n cap = 0.2;\n};\n", 3, "retry.cap (0.2)",
                       "raise cap");
        assert_loads(fixture, UPSTREAM "retry = { base = 0.5; cap = 0.5; };\n");
        assert_refuses(fixture, UPSTREAM "limits = {\n\n queue_bytes = 1024;\n};\n", 4,
                       "limits.body_bytes", "raise");
        assert_refuses(fixture, UPSTREAM "listen = ( { },\n { },\n { port = 1; } );\n", 3,
                       "second time", "another port");
        assert_loads(fixture, UPSTREAM "listen = ( { port = 0; }, { port = 0; } );\n");
        assert_loads(fixture, UPSTREAM "listen = ( { }, { address = \"::1\"; } );\n");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { address = \"::1\"; },\n { address = \"0::1\"; } );\n",
                       3, "second time", "another port");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(our_functions_do_not_replace_those_of_libconfig),
                TEST(a_file_with_upstreams_only_has_the_defaults_of_the_contract),
                TEST(every_kind_of_value_is_read),
                TEST(a_number_that_would_wrap_around_is_refused),
                TEST(both_ends_of_the_bounds_are_allowed_and_what_lies_beyond_is_not),
                TEST(a_truth_value_is_true_or_false_and_nothing_else),
                TEST(there_is_an_admin_address_only_where_the_group_stands),
                TEST(an_admin_address_is_of_loopback_and_not_that_of_a_listener),
                TEST(a_relative_state_directory_counts_from_the_configuration_file),
                TEST(the_first_directory_that_systemd_gives_comes_before_the_default),
                TEST(an_unknown_key_is_told_the_nearest_one_or_where_it_belongs),
                TEST(the_line_of_a_missing_key_is_that_of_its_group),
                TEST(a_problem_in_an_included_file_names_that_file),
                TEST(lines_behind_an_include_keep_their_numbers),
                TEST(an_element_has_the_line_it_stands_in),
                TEST(an_include_that_cannot_be_read_is_refused_and_ends_no_process),
                TEST(a_problem_is_one_line_whatever_stands_in_the_file),
                TEST(what_is_no_configuration_file_is_refused_by_name),
                TEST(nesting_has_a_ceiling),
                TEST(addresses_and_urls_that_would_expose_the_key_are_refused),
                TEST(http_is_allowed_towards_loopback),
                TEST(keys_at_odds_are_refused_at_the_line_that_sets_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
