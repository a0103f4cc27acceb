/*
 * test_config_documents: the sample configuration and docs/configuration.md say what the table of
 * keys says. The source tree is $SOLVEGATE_SOURCE, or the working directory.
 */
#include "base/strbuf.h"
#include "config/config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES_MAX (1024 * 1024)

/* The sample's upstream, and nothing else. */
#define SMALLEST                                                                                   \
        "upstreams = ( { name = \"pro\"; url = \"https://pro.nocaptchaai.com\"; "                  \
        "credential = \"nocaptchaai\"; } );\n"

static const char *source_root(void)
{
        const char *root = getenv("SOLVEGATE_SOURCE");

        return root ? root : ".";
}

/* Reads a file of the source tree. The caller frees. */
static char *read_source(const char *path)
{
        char whole[PATH_MAX], piece[4096];
        struct strbuf text;
        size_t got;

        (void)snprintf(whole, sizeof whole, "%s/%s", source_root(), path);
        FILE *file = fopen(whole, "r");
        if (!file)
                fail_msg("cannot open %s: set SOLVEGATE_SOURCE", whole);
        strbuf_init(&text, FILE_BYTES_MAX);
        while ((got = fread(piece, 1, sizeof piece, file)) > 0)
                assert_int_equal(strbuf_append(&text, piece, got), 0);
        assert_int_equal(fclose(file), 0);
        return strbuf_take(&text, NULL);
}

static bool same_keys(const struct config_key *keys, const void *a, const void *b);

static bool same_text(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_list(const struct config_key *key, const void *a, const void *b)
{
        const char *items[2];
        size_t counts[2];

        memcpy(&items[0], a, sizeof items[0]);
        memcpy(&items[1], b, sizeof items[1]);
        memcpy(&counts[0], (const char *)a + sizeof items[0], sizeof counts[0]);
        memcpy(&counts[1], (const char *)b + sizeof items[1], sizeof counts[1]);
        bool same = counts[0] == counts[1];
        for (size_t i = 0; same && i < counts[0]; i++)
                same = same_keys(key->keys, items[0] + i * key->element_bytes,
                                 items[1] + i * key->element_bytes);
        return same;
}

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
        bool same = a->count == b->count;

        for (size_t i = 0; same && i < a->count; i++)
                same = same_text(a->items[i], b->items[i]);
        return same;
}

static bool same_value(const struct config_key *key, const void *a, const void *b)
{
        const void *one = (const char *)a + key->offset, *other = (const char *)b + key->offset;

        switch (key->type) {
        case CONFIG_INT:
        case CONFIG_CHOICE:
                return *(const int *)one == *(const int *)other;
        case CONFIG_NUMBER:
                return *(const double *)one == *(const double *)other;
        case CONFIG_BYTES:
        case CONFIG_SECONDS:
        case CONFIG_DATE:
                return *(const int64_t *)one == *(const int64_t *)other;
        case CONFIG_BOOL:
                return *(const bool *)one == *(const bool *)other;
        case CONFIG_STRING:
                return same_text(*(char *const *)one, *(char *const *)other);
        case CONFIG_STRINGS:
                return same_strings(one, other);
        case CONFIG_GROUP:
                return same_keys(key->keys, a, b);
        case CONFIG_LIST:
                return same_list(key, one, other);
        }
        return false;
}

static bool same_keys(const struct config_key *keys, const void *a, const void *b)
{
        for (const struct config_key *key = keys; key->name; key++) {
                if (!same_value(key, a, b)) {
                        print_error("%s differs\n", key->name);
                        return false;
                }
        }
        return true;
}

static struct config *load(const char *file)
{
        struct config *config = NULL;
        struct strbuf problem;

        strbuf_init(&problem, 8192);
        if (config_load(file, &config, &problem) < 0)
                fail_msg("refused: %s", problem.data);
        strbuf_done(&problem);
        return config;
}

/* The sample keeps its state beside itself, so that it works for whoever tries it. */
static void assert_state_beside(const struct config *config, const char *file)
{
        char *whole = realpath(file, NULL), wanted[PATH_MAX + 32];

        assert_non_null(whole);
        (void)snprintf(wanted, PATH_MAX + 8, "%.*s/state", (int)(strrchr(whole, '/') - whole),
                       whole);
        assert_string_equal(config->state_directory, wanted);
        strcat(wanted, "/audit.jsonl");
        assert_string_equal(config->audit.file, wanted);
        free(whole);
}

static void the_sample_configuration_gives_exactly_the_defaults_but_for_its_state(void **state)
{
        char sample_file[PATH_MAX], file[] = "/tmp/test_config_documents.XXXXXX";
        (void)state;

        int fd = mkstemp(file);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, SMALLEST, strlen(SMALLEST)), strlen(SMALLEST));
        assert_int_equal(close(fd), 0);
        (void)snprintf(sample_file, sizeof sample_file, "%s/conf/solvegate.conf", source_root());
        assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
        struct config *sample = load(sample_file), *smallest = load(file);
        assert_int_equal(unlink(file), 0);
        assert_state_beside(sample, sample_file);
        free(sample->state_directory);
        sample->state_directory = strdup(smallest->state_directory);
        free(sample->audit.file);
        sample->audit.file = strdup(smallest->audit.file);
        assert_true(same_keys(config_keys, sample, smallest));
        config_free(sample);
        config_free(smallest);
}

/* Calls check for each row that is no group, with its path as the documents write it. */
static void walk(const struct config_key *keys, const char *prefix, const char *text,
                 void (*check)(const struct config_key *key, const char *path, const char *text))
{
        for (const struct config_key *key = keys; key->name; key++) {
                char path[128];

                (void)snprintf(path, sizeof path, "%s%s", prefix, key->name);
                if (key->type != CONFIG_GROUP)
                        check(key, path, text);
                if (key->keys) {
                        strcat(path, key->type == CONFIG_LIST ? "[]." : ".");
                        walk(key->keys, path, text, check);
                }
        }
}

/* Whether text has a setting that is written so: no longer name ends with it. */
static bool has_setting(const char *text, const char *setting)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
        const char *found = strstr(text, setting);

        while (found && found > text && strchr(letters, found[-1]))
                found = strstr(found + 1, setting);
        return found;
}

static void check_sample_key(const struct config_key *key, const char *path, const char *text)
{
        const char *value = key->default_text && key->default_text[0] ? key->default_text : NULL;
        char wanted[256];

        (void)snprintf(wanted, sizeof wanted, "%s = %s%s", key->name, value ? value : "",
                       value ? ";" : "");
        if (!has_setting(text, wanted))
                fail_msg("the sample lacks %s: %s", path, wanted);
}

static void the_sample_configuration_names_every_key_with_its_default(void **state)
{
        char *sample = read_source("conf/solvegate.conf");
        (void)state;

        walk(config_keys, "", sample, check_sample_key);
        free(sample);
}

static void check_cell(const char *path, const char *row, const char *cell)
{
        if (!strstr(row, cell))
                fail_msg("the row of %s lacks %s: %s", path, cell, row);
}

static void check_document_key(const struct config_key *key, const char *path, const char *text)
{
        char start[160], cell[256], *row;

        (void)snprintf(start, sizeof start, "\n| `%s` |", path);
        const char *found = strstr(text, start);
        if (!found)
                fail_msg("docs/configuration.md has no row for %s", path);
        row = strndup(found + 1, strcspn(found + 1, "\n"));
        assert_non_null(row);
        if (!key->default_text)
                (void)snprintf(cell, sizeof cell, "| required |");
        else if (key->default_text[0] == '\0')
                (void)snprintf(cell, sizeof cell, "| none |");
        else
                (void)snprintf(cell, sizeof cell, "| `%s` |", key->default_text);
        check_cell(path, row, cell);
        for (size_t i = 0; key->choices && key->choices[i]; i++) {
                (void)snprintf(cell, sizeof cell, "`\"%s\"`", key->choices[i]);
                check_cell(path, row, cell);
        }
        if (key->type == CONFIG_BOOL)
                check_cell(path, row, "| `true`, `false` |");
        else if (!key->choices) {
                (void)snprintf(cell, sizeof cell, "| %.15g to %.15g ", key->min, key->max);
                check_cell(path, row, cell);
        }
        check_cell(path, row, key->help);
        free(row);
}

static void the_document_names_every_key_with_default_bounds_and_meaning(void **state)
{
        char *document = read_source("docs/configuration.md");
        (void)state;

        walk(config_keys, "", document, check_document_key);
        free(document);
}

/* Counts the rows that reload, and fails for one that the section does not name. */
static size_t check_reloads(const struct config_key *keys, const char *prefix, const char *section)
{
        size_t count = 0;

        for (const struct config_key *key = keys; key->name; key++) {
                char path[128], row[160];

                (void)snprintf(path, sizeof path, "%s%s", prefix, key->name);
                (void)snprintf(row, sizeof row, "\n| `%s` |", path);
                if (key->reloads && !strstr(section, row))
                        fail_msg("the section on a reload lacks %s", path);
                count += key->reloads ? 1 : 0;
                if (key->keys && !key->reloads) {
                        strcat(path, key->type == CONFIG_LIST ? "[]." : ".");
                        count += check_reloads(key->keys, path, section);
                }
        }
        return count;
}

static void the_document_names_the_keys_that_a_reload_changes_and_no_other(void **state)
{
        static const char head[] = "\n## What a reload changes\n";
        char *document = read_source("docs/configuration.md");
        char *section = strstr(document, head);
        size_t rows = 0;
        (void)state;

        assert_non_null(section);
        *strstr(section + sizeof head - 1, "\n## ") = '\0';
        for (const char *row = section; (row = strstr(row, "\n| `")) != NULL; row++)
                rows++;
        assert_int_equal(check_reloads(config_keys, "", section), rows);
        assert_int_equal(rows, 12);
        free(document);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(
                        the_sample_configuration_gives_exactly_the_defaults_but_for_its_state),
                cmocka_unit_test(the_sample_configuration_names_every_key_with_its_default),
                cmocka_unit_test(the_document_names_every_key_with_default_bounds_and_meaning),
                cmocka_unit_test(the_document_names_the_keys_that_a_reload_changes_and_no_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
