/*
 * Property tests of the messages of config_load(): whatever the file is, it either loads or gives
 * one line `FILE:LINE: what is wrong; how to fix it`, in UTF-8, without a control character and
 * without one that is not seen.
 */
#include "base/utf8.h"
#include "config_fixture.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTANTS        4000
#define MUTANT_BYTES   8192
#define CHANGES_MAX    4
#define ELEMENTS_LARGE 50000

/* Every kind of key, and every kind of value. */
static const char seed_text[] =
        "listen = ( { address = \"127.0.0.1\"; port = 8118; },\n"
        "           { address = \"0.0.0.0\"; port = 0x20f3; } ); # two\n"
        "server_names = [ \"solve.example.com\", \"b.example\" ];\n"
        "origins = ( \"https://tools.example.com\", \"moz-extension://0a1b2c3d\" );\n"
        "admin = { socket = \"/run/a.sock\"; socket_mode = \"0660\"; socket_group = \"adm\";\n"
        "  address = \"::1\"; port = 8119; };\n"
        "state_directory = \"/var/lib/solvegate\"; durability = \"full\"; workers = 2;\n"
        "upstreams = ( { name = \"pro\"; url = \"https://pro.example:8443\"; api = 2;\n"
        "  credential = \"key\"; max_in_flight = 10; priority = 1; } );\n"
        "/* a comment\n of two lines */\n"
        "sites = { allow = ( \"*.qa.example.com\",\n"
        "  { site = \"shop.example.com\"; note = \"ask Ann\"; expires = \"2027-01-31\"; } ); };\n"
        "clients = ( { name = \"ci\"; token_sha256 =\n \"" DIGEST_A "\";\n"
        "  weight = 2; max_in_flight = 4; rate = 5.5; burst = 10; daily_limit = 1000;\n"
        "  monthly_limit = 20000; sites = { allow = [ \"a.example\" ]; }; expires = "
        "\"2027-01-31\"; "
        "} );\n"
        "@include \"more.conf\"\n"
        "answers = { solve_hold = 10.0; }; results = { ttl = 3600; bytes = 67108864L; share = "
        "TRUE; "
        "};\n"
        "retry = { attempts = 4; base = 0.25; cap = 1.0e1; on_unknown = \"retry\"; };\n"
        "limits = { queue_bytes = 4294967296L; images = 64; body_timeout = 60; };\n"
        "audit = { file = \"audit.jsonl\"; }; log = { level = \"info\"; format = \"json\"; };\n";

static const char more_text[] = "poll = { first = 0.5; interval = 1.0;\n cap = 5.0; };\n";

/* What a careless or hostile hand puts in. */
static const char *const pieces[] = {
        "\"",
        "\\",
        "\\x00",
        "\\x1b[2J",
        "\\q",
        "\xff",
        "\xc2\x9b",
        "\xe2\x80\xae",
        "\xed\xa0\x80",
        "\xf0\x9f\x92\xa9",
        "\n",
        "\r",
        "\t",
        "\v",
        "\x7f",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "=",
        ":",
        ";",
        ",",
        "/*",
        "*/",
        "//",
        "#",
        "@include \"more.conf\"\n",
        "@include \"solvegate.conf\"\n",
        "@include \"/dev/null\"\n",
        "@include \"\"\n",
        "\n@include \"none\xff\"\n",
        "true",
        "0",
        "-1",
        "1e999",
        "-0.0",
        "0x7fffffff",
        "2147483648",
        "9223372036854775808L",
        "99999999999999999999",
        "0.0000001",
        "nan",
        "null",
        "*",
        "*.",
        "a = 1;",
        "listen = ( );",
        "http://127.0.0.1:8118",
        "https://u@h",
        "name",
        "port = 0;",
        "::",
        "sgt_0123456789012345678901234567890123456789",
};

static size_t below(size_t bound)
{
        return arc4random_uniform((uint32_t)bound);
}

/* Replaces so many bytes at a place by others. */
static void splice(char *text, size_t *len, size_t at, size_t removed, const char *added,
                   size_t added_len)
{
        if (*len - removed + added_len >= MUTANT_BYTES)
                return;
        memmove(text + at + added_len, text + at + removed, *len - at - removed);
        memcpy(text + at, added, added_len);
        *len += added_len - removed;
}

static void change(char *text, size_t *len)
{
        char copy[MUTANT_BYTES], byte = (char)below(256);
        size_t at = below(*len + 1), rest = *len - at;
        size_t some = rest > 0 ? below(rest < 40 ? rest + 1 : 40) : 0;
        const char *piece = pieces[below(sizeof pieces / sizeof pieces[0])];

        switch (below(4)) {
        case 0:
                splice(text, len, at, some, "", 0);
                break;
        case 1:
                memcpy(copy, text + at, some);
                splice(text, len, below(*len + 1), 0, copy, some);
                break;
        case 2:
                splice(text, len, at, 0, piece, strlen(piece));
                break;
        default:
                splice(text, len, at, rest > 0, &byte, 1);
        }
}

static bool is_clean(const char *text)
{
        for (size_t len = strlen(text), step; len > 0; text += step, len -= step) {
                step = utf8_sequence((const unsigned char *)text, len);
                if (step == 0 || utf8_hidden(utf8_decode((const unsigned char *)text, step)))
                        return false;
        }
        return true;
}

/* FILE:LINE: what; how, where FILE is in the fixture's directory. */
static bool has_form(const struct fixture *fixture, const char *problem)
{
        size_t len = strlen(fixture->directory);
        const char *colon = problem + len;

        if (strncmp(problem, fixture->directory, len) != 0 || *colon != '/')
                return false;
        colon = strchr(colon, ':');
        if (!colon || !isdigit((unsigned char)colon[1]))
                return false;
        colon++;
        colon += strspn(colon, "0123456789");
        if (strncmp(colon, ": ", 2) != 0 || colon[2] == '\0')
                return false;
        const char *fix = strstr(colon + 2, "; ");
        return fix && fix > colon + 2 && fix[2] != '\0';
}

static void assert_loads_or_tells(struct fixture *fixture, const char *text, size_t len)
{
        write_file(fixture, "solvegate.conf", text, len);
        int r = load_file(fixture, fixture->file);

        if (r == 0) {
                assert_non_null(fixture->config);
                assert_int_equal(fixture->problem.len, 0);
                return;
        }
        assert_null(fixture->config);
        assert_true(fixture->problem.len > 0);
        if (!is_clean(fixture->problem.data) || !has_form(fixture, fixture->problem.data))
                fail_msg("told: %s\nof: %.*s", fixture->problem.data, (int)len, text);
}

static void no_key_is_told(void *arg, const char *key)
{
        fail_msg("%s%s differs", (const char *)arg, key);
}

/* A reload by the configuration of the fixture leaves alone what takes a restart. */
static void assert_merges(const struct fixture *fixture, const struct config *running)
{
        char nothing[] = "";
        struct config *merged = NULL;

        assert_int_equal(config_merge(running, fixture->config, &merged), 0);
        config_compare(running, merged, no_key_is_told, nothing);
        config_changed(fixture->config, fixture->config, no_key_is_told, nothing);
        config_free(merged);
}

static void each_mutant_loads_or_gives_one_line_with_a_fix(void **state)
{
        struct fixture *fixture = *state;
        struct config *running;
        char text[MUTANT_BYTES];
        size_t loaded = 0;

        write_file(fixture, "more.conf", more_text, strlen(more_text));
        assert_loads(fixture, seed_text);
        running = fixture->config;
        fixture->config = NULL;
        for (int i = 0; i < MUTANTS; i++) {
                size_t len = strlen(seed_text);
                memcpy(text, seed_text, len);
                for (size_t n = i > 0 ? 1 + below(CHANGES_MAX) : 0; n > 0; n--)
                        change(text, &len);
                assert_loads_or_tells(fixture, text, len);
                if (!fixture->config)
                        continue;
                loaded++;
                assert_merges(fixture, running);
        }
        config_free(running);
        assert_true(loaded > 0 && loaded < MUTANTS);
}

static void an_included_mutant_is_named(void **state)
{
        struct fixture *fixture = *state;
        char text[MUTANT_BYTES];

        for (int i = 0; i < MUTANTS / 10; i++) {
                size_t len = strlen(more_text);
                memcpy(text, more_text, len);
                for (size_t n = 1 + below(CHANGES_MAX); n > 0; n--)
                        change(text, &len);
                write_file(fixture, "more.conf", text, len);
                assert_loads_or_tells(fixture, seed_text, strlen(seed_text));
        }
}

/* start, then element again and again with commas between, then end. */
static void assert_many_told(struct fixture *fixture, const char *start, const char *element,
                             const char *separator, const char *end)
{
        struct strbuf text;

        strbuf_init(&text, 1024 * 1024 + 100);
        (void)strbuf_puts(&text, UPSTREAM);
        (void)strbuf_puts(&text, start);
        for (int i = 0; i < ELEMENTS_LARGE; i++)
                (void)strbuf_printf(&text, "%s%s%d", i > 0 ? separator : "", element, i);
        (void)strbuf_puts(&text, end);
        assert_false(text.failed);
        assert_loads_or_tells(fixture, text.data, text.len);
        assert_null(fixture->config);
        strbuf_done(&text);
}

/* libconfig compares each name with all others of the group, which takes minutes. */
static void huge_lists_and_groups_are_refused_at_once(void **state)
{
        struct fixture *fixture = *state;

        assert_many_told(fixture, "", "a = 1; b", "", " = 1;");
        assert_non_null(strstr(fixture->problem.data, "64 settings in one group"));
        assert_many_told(fixture, "log = { x", " = 1; b", "", " = 1; };");
        assert_non_null(strstr(fixture->problem.data, "64 settings in one group"));
        assert_many_told(fixture, "workers = [ ", "", ", ", " ];");
        assert_non_null(strstr(fixture->problem.data, "is an array"));
        assert_many_told(fixture, "limits = { images = ( (", "", "), (", ") ); };");
        assert_non_null(strstr(fixture->problem.data, "is a list"));
}

static void texts_that_libconfig_would_alter_are_refused(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "state_directory = \"/a\\x00b\";\n", 2, "a NUL", "remove");
        assert_refuses(fixture, UPSTREAM "state_directory = \"/a\\qb\";\n", 2, "no escape",
                       "for a backslash");
        assert_refuses(fixture, UPSTREAM "state_directory = \"/a\\x4\";\n", 2, "no escape",
                       "for a backslash");
        write_file(fixture, "b.conf", "\"b.example\"\n", 12);
        assert_true(load(fixture, UPSTREAM "server_names = [ \"a.\"\n@include \"b.conf\"\n];\n") <
                    0);
        assert_non_null(strstr(fixture->problem.data, "b.conf:1: syntax error: two elements"));
        assert_true(load(fixture, UPSTREAM "server_names = [\n@include \"b.conf\"\n\"c\" ];\n") <
                    0);
        assert_non_null(strstr(fixture->problem.data, ":4: syntax error: two elements"));
        assert_loads(fixture, UPSTREAM "state_directory =\n@include \"b.conf\"\n;\n");
        assert_loads(fixture, UPSTREAM "state_directory = \"/a\\x41\\\\\\\"\";\n");
        assert_string_equal(fixture->config->state_directory, "/aA\\\"");
}

/* libconfig loses the memory of a text that it does not expect. */
static void a_text_where_none_is_due_is_refused(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "workers = 2 \"x\";\n", 2, "two values", "NAME = VALUE");
        assert_refuses(fixture, UPSTREAM "workers = 2 3;\n", 2, "two values", "NAME = VALUE");
        assert_refuses(fixture, UPSTREAM "log = { } \"x\";\n", 2, "two values", "NAME = VALUE");
        assert_refuses(fixture, UPSTREAM "\"x\";\n", 2, "without a name", "NAME = VALUE");
        assert_refuses(fixture, UPSTREAM "log = { \"x\" };\n", 2, "without a name", "NAME = VALUE");
        assert_refuses(fixture, UPSTREAM "log = { };; { };\n", 2, "without a name", "NAME = VALUE");
        assert_refuses(fixture, UPSTREAM "origins = [ \"x\"; \"y\" ];\n", 2, "a semicolon",
                       "comma");
        assert_refuses(fixture, "\"x\";\n", 1, "without a name", "NAME = VALUE");
}

static void a_message_shows_no_byte_that_a_terminal_obeys(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture,
                       UPSTREAM "log = { level = \"a\xff\xc2\x9b"
                                "31m\xe2\x80\xaez\xc3\xa9\"; };\n",
                       2, "\"a???31m???z\xc3\xa9\"", "info");
}

static void a_long_name_of_a_file_leaves_room_for_the_fix(void **state)
{
        struct fixture *fixture = *state;
        char text[6000], path[5000];

        memset(path, 'x', sizeof path - 1);
        path[sizeof path - 1] = '\0';
        (void)snprintf(text, sizeof text, UPSTREAM "@include \"%s\"\n", path);
        assert_refuses(fixture, text, 2, "cannot be opened", "readable file");
        assert_true(load_file(fixture, path) < 0);
        assert_non_null(strstr(fixture->problem.data, "cannot be opened; see"));
}

static void addresses_of_which_one_includes_the_other_are_refused(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture,
                       UPSTREAM CLIENT "} );\nlisten = ( { address = \"0.0.0.0\"; },\n{ } );\n", 5,
                       "includes the other", "another port");
        assert_refuses(fixture,
                       UPSTREAM CLIENT "} );\nlisten = ( { address = \"::1\"; },\n"
                                       "{ address = \"::\"; } );\n",
                       5, "includes the other", "another port");
        assert_refuses(fixture,
                       UPSTREAM CLIENT
                       "} );\nlisten = ( { address = \"0.0.0.0\"; port = 8119; } );\n"
                       "admin = { address = \"127.0.0.1\"; };\n",
                       5, "listen[0]", "a port of its own");
        assert_loads(fixture, UPSTREAM CLIENT "} );\nlisten = ( { address = \"0.0.0.0\"; },\n"
                                              "{ address = \"::\"; } );\n");
}

static void the_audit_is_not_a_file_of_the_store(void **state)
{
        static const char *const names[] = {"lock", "jobs.db", "jobs.db-wal", "bodies.db-journal",
                                            "./jobs.db"};
        struct fixture *fixture = *state;
        char text[300];

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM "audit = { file = \"%s\"; };\n",
                               names[i]);
                assert_refuses(fixture, text, 2, "a file of the store", "audit.jsonl");
        }
        assert_refuses(fixture, UPSTREAM "audit = { file = \"..\"; };\n", 2, "is a directory",
                       "name a file");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(each_mutant_loads_or_gives_one_line_with_a_fix),
                ON_DIRECTORY(an_included_mutant_is_named),
                ON_DIRECTORY(huge_lists_and_groups_are_refused_at_once),
                ON_DIRECTORY(texts_that_libconfig_would_alter_are_refused),
                ON_DIRECTORY(a_text_where_none_is_due_is_refused),
                ON_DIRECTORY(a_message_shows_no_byte_that_a_terminal_obeys),
                ON_DIRECTORY(a_long_name_of_a_file_leaves_room_for_the_fix),
                ON_DIRECTORY(addresses_of_which_one_includes_the_other_are_refused),
                ON_DIRECTORY(the_audit_is_not_a_file_of_the_store),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
