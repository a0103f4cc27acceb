/*
 * test_config_merge: what is in force once a configuration is loaded while another one runs.
 */
#include "config_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two configurations, and what comes of them. */
struct merge {
        struct config *running, *loaded, *merged;
};

static struct config *take(struct fixture *fixture, const char *text)
{
        assert_loads(fixture, text);
        struct config *config = fixture->config;
        fixture->config = NULL;
        return config;
}

static struct merge merge(struct fixture *fixture, const char *running, const char *loaded)
{
        struct merge merge = {take(fixture, running), take(fixture, loaded), NULL};

        assert_int_equal(config_merge(merge.running, merge.loaded, &merge.merged), 0);
        return merge;
}

static void done(struct merge *merge)
{
        config_free(merge->running);
        config_free(merge->loaded);
        config_free(merge->merged);
}

static void collect(void *arg, const char *key)
{
        assert_int_equal(strbuf_printf(arg, "%s ", key), 0);
}

static char *told(const struct config *running, const struct config *loaded)
{
        struct strbuf text;

        strbuf_init(&text, 4096);
        config_compare(running, loaded, collect, &text);
        char *copy = strdup(text.data ? text.data : "");
        strbuf_done(&text);
        assert_non_null(copy);
        return copy;
}

/* The merged one is what runs, as far as a restart goes, and lacks the same as before. */
static void assert_told_as_before(const struct merge *merge)
{
        char *nothing = told(merge->running, merge->merged);
        char *before = told(merge->running, merge->loaded);
        char *after = told(merge->merged, merge->loaded);

        assert_string_equal(nothing, "");
        assert_string_equal(before, after);
        free(nothing);
        free(before);
        free(after);
}

static void keys_that_reload_are_those_that_were_loaded(void **state)
{
        static const char upstreams[] =
                "upstreams = ( { name = \"v\"; url = \"https://v\"; credential = \"d\"; "
                "ca = \"/etc/passwd\"; }, { name = \"w\"; url = \"https://w\"; credential = "
                "\"e\"; max_in_flight = 3; } );\n";
        char text[1024];
        struct merge m;

        (void)snprintf(text, sizeof text,
                       "%s" TWO "rate = 2.5; sites = { allow = [ \"own\" ]; }; } );\n"
                       "sites = { allow = ( \"a\", { site = \"b\"; note = \"n\"; } ); };\n"
                       "origins = [ \"http://a\" ]; limits = { queue_jobs = 9; };\n"
                       "results = { share = false; ttl = 2.5; }; log = { level = \"debug\"; };\n",
                       upstreams);
        m = merge(*state, UPSTREAM, text);
        assert_int_equal(m.merged->upstreams_count, 2);
        assert_string_equal(m.merged->upstreams[0].ca, "/etc/passwd");
        assert_null(m.merged->upstreams[1].ca);
        assert_int_equal(m.merged->upstreams[1].max_in_flight, 3);
        assert_int_equal(m.merged->clients_count, 2);
        assert_true(m.merged->clients[1].rate == 2.5);
        assert_string_equal(m.merged->clients[1].sites.allow.items[0].site, "own");
        assert_string_equal(m.merged->sites.allow.items[1].note, "n");
        assert_string_equal(m.merged->origins.items[0], "http://a");
        assert_int_equal(m.merged->limits.queue_jobs, 9);
        assert_false(m.merged->results.share);
        assert_int_equal(m.merged->results.ttl_ms, 2500);
        assert_int_equal(m.merged->log.level, m.loaded->log.level);
        assert_told_as_before(&m);
        done(&m);
}

static void keys_that_take_a_restart_stay_as_they_run(void **state)
{
        struct merge m =
                merge(*state, UPSTREAM "listen = ( { port = 1; } ); state_directory = \"/one\";\n",
                      UPSTREAM "listen = ( { port = 2; } ); state_directory = \"/other\";\n"
                               "workers = 7; durability = \"none\"; admin = { };\n");

        assert_int_equal(m.merged->listen[0].port, 1);
        assert_string_equal(m.merged->state_directory, "/one");
        assert_string_equal(m.merged->audit.file, "/one/audit.jsonl");
        assert_int_equal(m.merged->workers, 2);
        assert_int_equal(m.merged->durability, DURABILITY_FULL);
        assert_null(m.merged->admin.address);
        assert_string_equal(m.merged->file, m.running->file);
        assert_told_as_before(&m);
        done(&m);
}

static void what_is_taken_out_is_gone(void **state)
{
        struct merge m = merge(*state,
                               UPSTREAM CLIENT "} ); origins = [ \"http://a\" ];\n"
                                               "sites = { allow = [ \"a\" ]; };\n",
                               UPSTREAM);

        assert_int_equal(m.merged->clients_count, 0);
        assert_int_equal(m.merged->origins.count, 0);
        assert_int_equal(m.merged->sites.allow.count, 0);
        assert_told_as_before(&m);
        done(&m);
}

static void listeners_keep_their_places_and_take_new_certificates(void **state)
{
        static const char one[] =
                UPSTREAM "listen = ( { tls = { certificate = \"a.pem\"; key = \"a.pem\"; }; }, "
                         "{ port = 2; } );";
        static const char other[] = UPSTREAM
                "listen = ( { port = 9; tls = { certificate = \"b.pem\"; key = \"b.pem\"; }; }, "
                "{ port = 2; tls = { certificate = \"b.pem\"; key = \"b.pem\"; }; } );";
        struct fixture *fixture = *state;

        write_file(fixture, "a.pem", "", 0);
        write_file(fixture, "b.pem", "", 0);
        struct merge m = merge(fixture, one, other);
        assert_int_equal(m.merged->listen[0].port, m.running->listen[0].port);
        assert_string_equal(m.merged->listen[0].tls.certificate,
                            m.loaded->listen[0].tls.certificate);
        assert_null(m.merged->listen[1].tls.certificate);
        assert_told_as_before(&m);
        done(&m);
        m = merge(fixture, one, UPSTREAM);
        assert_int_equal(m.merged->listen_count, 2);
        assert_string_equal(m.merged->listen[0].tls.key, m.running->listen[0].tls.key);
        assert_told_as_before(&m);
        done(&m);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(keys_that_reload_are_those_that_were_loaded),
                ON_DIRECTORY(keys_that_take_a_restart_stay_as_they_run),
                ON_DIRECTORY(what_is_taken_out_is_gone),
                ON_DIRECTORY(listeners_keep_their_places_and_take_new_certificates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
