/*
 * test_config_compare: which keys of a new configuration take a restart, and which do not.
 */
#include "config_fixture.h"

#include "base/strbuf.h"

/* Collects what is told, each key with a space behind it. */
static void collect(void *arg, const char *key)
{
        struct strbuf *told = arg;

        assert_int_equal(strbuf_printf(told, "%s ", key), 0);
}

/* What of the second text a reload puts in force when the first one is. */
static void assert_reloads(struct fixture *fixture, const char *running, const char *loaded,
                           const char *wanted)
{
        struct config *merged = NULL;
        struct strbuf told;

        strbuf_init(&told, 4096);
        assert_loads(fixture, running);
        struct config *before = fixture->config;
        fixture->config = NULL;
        assert_loads(fixture, loaded);
        assert_int_equal(config_merge(before, fixture->config, &merged), 0);
        config_changed(before, merged, collect, &told);
        assert_string_equal(told.data ? told.data : "", wanted);
        config_free(before);
        config_free(merged);
        strbuf_done(&told);
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
        assert_restarts(fixture, UPSTREAM, UPSTREAM "admin = { socket_mode = \"0600\"; };", "");
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
                        "workers state_directory durability audit.file ");
        assert_restarts(fixture, UPSTREAM "listen = ( { }, { port = 0; } );",
                        UPSTREAM "listen = ( { }, { port = 1; } );", "listen[1].port ");
        assert_restarts(fixture, UPSTREAM "listen = ( { }, { port = 0; } );",
                        UPSTREAM "listen = ( { port = 1; } );", "listen ");
        assert_restarts(fixture, UPSTREAM,
                        UPSTREAM
                        "admin = { address = \"::1\"; port = 0; socket_mode = \"0660\"; };",
                        "admin.socket_mode admin.address admin.port ");
        assert_restarts(fixture, UPSTREAM "admin = { socket = \"/run/x\"; };", UPSTREAM,
                        "admin.socket ");
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

static void what_a_reload_puts_in_force_is_told_lists_as_a_whole(void **state)
{
        struct fixture *fixture = *state;

        assert_reloads(fixture, UPSTREAM, UPSTREAM "workers = 3; listen = ( { port = 0; } );", "");
        assert_reloads(fixture, UPSTREAM,
                       UPSTREAM TWO "} );\n"
                                    "sites = { allow = ( \"a\" ); }; origins = [ \"http://a\" ];\n"
                                    "limits = { queue_jobs = 9; }; workers = 3;\n"
                                    "results = { share = false; }; log = { level = \"debug\"; };\n",
                       "origins sites.allow clients results.share limits.queue_jobs log.level ");
        assert_reloads(fixture, UPSTREAM CLIENT "} );\n", UPSTREAM CLIENT "rate = 1.0; } );\n",
                       "clients ");
        assert_reloads(
                fixture, UPSTREAM,
                "upstreams = ( { name = \"u\"; url = \"https://i\"; credential = \"c\"; } );",
                "upstreams ");
        write_file(fixture, "a.pem", "", 0);
        write_file(fixture, "b.pem", "", 0);
        assert_reloads(
                fixture,
                UPSTREAM "listen = ( { tls = { certificate = \"a.pem\"; key = \"a.pem\"; }; } );",
                UPSTREAM "listen = ( { tls = { certificate = \"b.pem\"; key = \"a.pem\"; }; } );",
                "listen[0].tls.certificate ");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(what_is_equal_or_reloads_takes_no_restart),
                ON_DIRECTORY(each_key_that_takes_a_restart_is_told_by_its_path),
                ON_DIRECTORY(what_a_reload_puts_in_force_is_told_lists_as_a_whole),
                ON_DIRECTORY(tls_is_reloaded_where_it_was_and_its_coming_and_going_are_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
