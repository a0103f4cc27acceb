/*
 * config_fixture: a directory for the configuration files of one test, and what the last of them
 * was loaded as.
 */
#ifndef SOLVEGATE_TESTS_CONFIG_FIXTURE_H
#define SOLVEGATE_TESTS_CONFIG_FIXTURE_H

#include "base/strbuf.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Lists of clients, up to where more keys of the last one may follow. */
#define CLIENT "clients = ( { name = \"a\"; token_sha256 = \"" DIGEST_A "\";\n"
#define TWO    CLIENT "}, { name = \"b\"; token_sha256 = \"" DIGEST_B "\";\n"

#define UPSTREAM "upstreams = ( { name = \"u\"; url = \"https://h\"; credential = \"c\"; } );\n"

struct fixture {
        char directory[64];
        char file[128]; /* solvegate.conf, which load() writes */
        struct config *config;
        struct strbuf problem;
};

/* Setup and teardown of a test. There is no STATE_DIRECTORY at its start. */
int make_directory(void **state);
int remove_directory(void **state);

#define ON_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

/* Writes a file of the directory. */
void write_file(const struct fixture *fixture, const char *name, const char *text, size_t len);

/* Each returns what config_load() does. load() writes the text to the fixture's file first. */
int load_file(struct fixture *fixture, const char *file);
int load(struct fixture *fixture, const char *text);

void assert_loads(struct fixture *fixture, const char *text);

/* One line `FILE:LINE: …; …` with both words, and no configuration. */
void assert_refuses(struct fixture *fixture, const char *text, unsigned line, const char *what,
                    const char *cure);

#endif
