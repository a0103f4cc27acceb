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

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Lists of clients, up to where more keys of the last one may follow. */
#define CLIENT "clients = ( { name = \"a\"; token_sha256 = \"" DIGEST_A "\";\n"
#define TWO    CLIENT "}, { name = \"b\"; token_sha256 = \"" DIGEST_B "\";\n"

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
        assert_null(config->listen[0].tls.certificate);
        assert_null(config->listen[0].tls.key);
        assert_int_equal(config->server_names.count, 0);
        assert_int_equal(config->origins.count, 0);
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
        assert_int_equal(config->clients_count, 0);
        assert_string_equal(config->audit.file, "/var/lib/solvegate/audit.jsonl");
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
        assert_string_equal(config->sites.allow.items[1].site, "*.y.example");
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

static void a_burst_needs_a_rate(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM TWO "\nburst = 10; } );\n", 5, "clients[1] has a burst",
                       "add rate");
        assert_loads(fixture, UPSTREAM TWO "burst = 3; rate = 1.0; } );\n");
}

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

/* See correct_lines() in config.c. */
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

static void an_origin_stands_as_browsers_write_it(void **state)
{
        static const char *const good[] = {
                "https://a.example",
                "http://localhost:3000",
                "https://a.example:80",
                "http://a:443",
                "https://192.0.2.1",
                "http://[2001:db8::1]:8080",
                "https://xn--bcher-kva.example",
        };
        static const struct {
                const char *origin, *what, *cure;
        } bad[] = {
                {"", "is empty", "https://"},
                {"*", "every web page", "list each"},
                {"null", "any site", "serve the page"},
                {"https://*.example", "holds a *", "list each"},
                {"a.example", "does not start", "write scheme"},
                {"ftp://a.example", "does not start", "write scheme"},
                {"//a.example", "does not start", "write scheme"},
                {"https://A.example", "upper case", "lower case"},
                {"HTTPS://a.example", "upper case", "lower case"},
                {"https://a.example/", "slash", "remove the slash"},
                {"https://a.example/tool", "a path", "end it"},
                {"https://a.example?x", "a query", "end it"},
                {"https://a.example:443", "scheme stands for", "remove the colon"},
                {"http://a.example:80", "scheme stands for", "remove the colon"},
                {"https://a.example:", "no valid port", "1 to 65535"},
                {"https://a.example:0", "no valid port", "1 to 65535"},
                {"https://a.example:65536", "no valid port", "1 to 65535"},
                {"https://a.example:08443", "a zero in front", "without"},
                {"https://u:p@a.example", "user information", "remove it"},
                {"https://[2001:db8:0::1]", "shorter", "[::1]"},
                {"https://[::1", "no IPv6", "such as"},
                {"https://", "no host", "behind"},
                {"https://a.example.", "dot", "remove the dot"},
                {"https://a.example b", "white space", "of its own"},
        };
        struct fixture *fixture = *state;
        char text[256];

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM "origins = [ \"%s\" ];", good[i]);
                assert_loads(fixture, text);
                assert_string_equal(fixture->config->origins.items[0], good[i]);
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM "origins = [ \"http://a\",\n\"%s\" ];",
                               bad[i].origin);
                assert_refuses(fixture, text, 3, bad[i].what, bad[i].cure);
        }
}

static void an_address_beyond_loopback_needs_clients(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "listen = ( { },\n{ address = \"0.0.0.0\"; } );\n", 3,
                       "there are no clients", "solvegatectl token new NAME");
        assert_refuses(fixture, UPSTREAM CLIENT "} );\nlisten = (\n{ address = \"::g\"; } );\n", 5,
                       "is no IPv4 or IPv6 address", "127.0.0.1");
        assert_loads(fixture, UPSTREAM CLIENT
                     "} );\n"
                     "listen = ( { address = \"0.0.0.0\"; }, { address = \"2001:db8::1\"; } );\n");
        assert_refuses(fixture, UPSTREAM CLIENT "} );\nadmin = { address = \"0.0.0.0\"; };\n", 4,
                       "not of the loopback", "127.0.0.1");
}

static void certificate_and_key_are_files_that_count_from_the_configuration(void **state)
{
        struct fixture *fixture = *state;
        char wanted[160];

        write_file(fixture, "cert.pem", "", 0);
        write_file(fixture, "key.pem", "", 0);
        assert_loads(fixture,
                     UPSTREAM "listen = ( { port = 0; }, { port = 0;\n"
                              "tls = { certificate = \"cert.pem\"; key = \"./key.pem\"; }; } );\n");
        assert_null(fixture->config->listen[0].tls.certificate);
        (void)snprintf(wanted, sizeof wanted, "%s/cert.pem", fixture->directory);
        assert_string_equal(fixture->config->listen[1].tls.certificate, wanted);
        (void)snprintf(wanted, sizeof wanted, "%s/./key.pem", fixture->directory);
        assert_string_equal(fixture->config->listen[1].tls.key, wanted);
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { tls = {\ncertificate = \"cert.pem\"; }; } );\n", 2,
                       "listen[0].tls has no \"key\"", "add key");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { tls = { certificate = \"cert.pem\";\n"
                                "key = \"none.pem\"; }; } );\n",
                       3, "/none.pem\" cannot be found", "correct the path");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { tls = { key = \"key.pem\";\n"
                                "certificate = \".\"; }; } );\n",
                       3, "is no regular file", "PEM");
}

static void the_audit_counts_from_the_state_directory(void **state)
{
        struct fixture *fixture = *state;
        char wanted[160];

        assert_loads(fixture, UPSTREAM "state_directory = \"state\";\n"
                                       "audit = { file = \"log/trail\"; };\n");
        (void)snprintf(wanted, sizeof wanted, "%s/state/log/trail", fixture->directory);
        assert_string_equal(fixture->config->audit.file, wanted);
        assert_loads(fixture, UPSTREAM "state_directory = \"/srv/\";\n");
        assert_string_equal(fixture->config->audit.file, "/srv/audit.jsonl");
        assert_loads(fixture, UPSTREAM "audit = { file = \"/var/log/trail\"; };\n");
        assert_string_equal(fixture->config->audit.file, "/var/log/trail");
        assert_refuses(fixture, UPSTREAM "audit = {\nfile = \"/var/log/\"; };\n", 3,
                       "ends with a slash", "name a file");
}

/* Collects what is told, each key with a space behind it. */
static void collect(void *arg, const char *key)
{
        struct strbuf *told = arg;

        assert_int_equal(strbuf_printf(told, "%s ", key), 0);
}

/* What of the second text takes a restart when the first one is in force. */
static void assert_restarts(struct fixture *fixture, const char *running, const char *loaded,
                            const char *wanted)
{
        struct strbuf told;

        strbuf_init(&told, 4096);
        assert_loads(fixture, running);
        struct config *before = fixture->config;
        fixture->config = NULL;
        assert_loads(fixture, loaded);
        config_compare(before, fixture->config, collect, &told);
        assert_string_equal(told.data ? told.data : "", wanted);
        config_free(before);
        strbuf_done(&told);
}

static void what_is_equal_or_reloads_takes_no_restart(void **state)
{
        struct fixture *fixture = *state;

        assert_restarts(fixture, UPSTREAM, UPSTREAM, "");
        assert_restarts(fixture, UPSTREAM "admin = { };", UPSTREAM "admin = { port = 8119; };", "");
        assert_restarts(fixture, UPSTREAM,
                        UPSTREAM TWO "rate = 1.0; } );\n"
                                     "sites = { allow = ( \"a\", { site = \"b\"; } ); };\n"
                                     "origins = [ \"http://a\" ];\nserver_names = [ \"n\" ];\n",
                        "");
        assert_restarts(fixture, UPSTREAM TWO "rate = 1.0; } );\n", UPSTREAM CLIENT "} );\n", "");
}

static void each_key_that_takes_a_restart_is_told_by_its_path(void **state)
{
        struct fixture *fixture = *state;

        assert_restarts(fixture, UPSTREAM,
                        UPSTREAM "workers = 3; state_directory = \"/srv\"; durability = \"none\";\n"
                                 "limits = { queue_jobs = 9; queue_bytes = 1073741825L; };\n"
                                 "results = { share = false; }; log = { level = \"debug\"; };\n"
                                 "answers = { solve_hold = 10.001; };\n",
                        "workers state_directory durability answers.solve_hold results.share "
                        "limits.queue_jobs limits.queue_bytes audit.file log.level ");
        assert_restarts(fixture, UPSTREAM "listen = ( { }, { port = 0; } );",
                        UPSTREAM "listen = ( { }, { port = 1; } );", "listen[1].port ");
        assert_restarts(fixture, UPSTREAM "listen = ( { }, { port = 0; } );",
                        UPSTREAM "listen = ( { port = 1; } );", "listen ");
        assert_restarts(
                fixture, UPSTREAM,
                "upstreams = ( { name = \"u\"; url = \"https://i\"; credential = \"c\"; ca = "
                "\"/etc/passwd\"; } );",
                "upstreams[0].url upstreams[0].ca ");
        assert_restarts(fixture, UPSTREAM "admin = { };", UPSTREAM "admin = { port = 0; };",
                        "admin.port ");
        assert_restarts(fixture, UPSTREAM "admin = { };", UPSTREAM, "admin ");
        assert_restarts(fixture, UPSTREAM, UPSTREAM "admin = { };", "admin ");
}

static void tls_is_reloaded_where_it_was_and_its_coming_and_going_are_told(void **state)
{
        static const char with[] =
                UPSTREAM "listen = ( { tls = { certificate = \"a.pem\"; key = \"a.pem\"; }; } );";
        static const char other[] =
                UPSTREAM "listen = ( { tls = { certificate = \"b.pem\"; key = \"b.pem\"; }; } );";
        struct fixture *fixture = *state;

        write_file(fixture, "a.pem", "", 0);
        write_file(fixture, "b.pem", "", 0);
        assert_restarts(fixture, with, other, "");
        assert_restarts(fixture, with, UPSTREAM, "listen[0].tls ");
        assert_restarts(fixture, UPSTREAM, with, "listen[0].tls ");
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
                TEST(a_client_has_what_is_set_and_no_other_limit),
                TEST(a_rate_is_a_number_with_or_without_a_fraction),
                TEST(clients_with_the_same_name_or_token_are_refused),
                TEST(no_message_quotes_what_stands_for_a_digest),
                TEST(a_burst_needs_a_rate),
                TEST(the_list_of_a_client_has_an_entry_at_least),
                TEST(an_entry_of_an_allow_list_is_a_text_or_a_group),
                TEST(what_is_no_entry_of_an_allow_list_is_refused_with_a_cure),
                TEST(texts_and_groups_of_one_list_have_the_lines_they_stand_in),
                TEST(a_date_is_a_real_day_and_ends_with_it),
                TEST(an_origin_stands_as_browsers_write_it),
                TEST(an_address_beyond_loopback_needs_clients),
                TEST(certificate_and_key_are_files_that_count_from_the_configuration),
                TEST(the_audit_counts_from_the_state_directory),
                TEST(what_is_equal_or_reloads_takes_no_restart),
                TEST(each_key_that_takes_a_restart_is_told_by_its_path),
                TEST(tls_is_reloaded_where_it_was_and_its_coming_and_going_are_told),
                TEST(keys_at_odds_are_refused_at_the_line_that_sets_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
