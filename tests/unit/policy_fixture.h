/*
 * policy_fixture: a configuration made by hand, the clients' table, and policies of both.
 */
#ifndef SOLVEGATE_TESTS_POLICY_FIXTURE_H
#define SOLVEGATE_TESTS_POLICY_FIXTURE_H

#include "access/clients.h"
#include "access/policy.h"
#include "access/token.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW   INT64_C(1795363200000) /* wall clock: 2026-11-22T16:00:00Z */
#define LATER (NOW + 86400000)

#define CLIENTS_MAX 200
#define SITES_MAX   4

/* A configuration whose texts can be spoilt as if they were freed. */
struct made {
        struct config config;
        struct config_client clients[CLIENTS_MAX];
        struct config_site sites[SITES_MAX], own_site;
        char *origins[1], *names[1];
        char client_names[CLIENTS_MAX][16], hex[CLIENTS_MAX][TOKEN_HEX_CHARS + 1];
        char patterns[SITES_MAX][32], own_pattern[32];
        char origin[32], name[32];
};

struct fixture {
        struct made made;
        struct clients *clients;
};

/* Setup and teardown of a test. */
int make_clients(void **state);
int free_clients(void **state);

#define WITH_CLIENTS(test) cmocka_unit_test_setup_teardown(test, make_clients, free_clients)

/* The digest of a client's token, which follows from its name. */
struct token_digest digest_for(const char *name);

/* Adds a client, with its token, to the configuration. */
struct config_client *add_client(struct made *made, const char *name);

/* Adds a pattern to the configuration's list of sites. */
void add_site(struct made *made, const char *pattern, int64_t until_ms);

/* The policy of the configuration as it is now. */
struct policy *policy_of(struct fixture *f);

/* Whose token that of the name is, or NULL. */
struct client *find_at(const struct policy *policy, const char *name, int64_t now_wall_ms);

#endif
