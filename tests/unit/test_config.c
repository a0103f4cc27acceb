/*
 * test_config: the defaults, the values of each kind, and how keys bear on each other. What the
 * sample configuration and docs/configuration.md say is checked by test_config_documents.
 */
#include "config_fixture.h"

#include "base/log.h"
#include "base/strbuf.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(our_functions_do_not_replace_those_of_libconfig),
                ON_DIRECTORY(a_file_with_upstreams_only_has_the_defaults_of_the_contract),
                ON_DIRECTORY(every_kind_of_value_is_read),
                ON_DIRECTORY(a_number_that_would_wrap_around_is_refused),
                ON_DIRECTORY(both_ends_of_the_bounds_are_allowed_and_what_lies_beyond_is_not),
                ON_DIRECTORY(a_truth_value_is_true_or_false_and_nothing_else),
                ON_DIRECTORY(a_relative_state_directory_counts_from_the_configuration_file),
                ON_DIRECTORY(the_first_directory_that_systemd_gives_comes_before_the_default),
                ON_DIRECTORY(the_audit_counts_from_the_state_directory),
                ON_DIRECTORY(keys_at_odds_are_refused_at_the_line_that_sets_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
