/*
 * policy_fixture: see policy_fixture.h.
 */
#include "policy_fixture.h"

#include <stdio.h>
#include <string.h>

static struct fixture fixture;

int make_clients(void **state)
{
        memset(&fixture, 0, sizeof fixture);
        *state = &fixture;
        return clients_new(&fixture.clients);
}

int free_clients(void **state)
{
        struct fixture *f = *state;

        clients_free(f->clients);
        return 0;
}

struct token_digest digest_for(const char *name)
{
        char token[64];
        struct token_digest digest;

        (void)snprintf(token, sizeof token, "token of %s", name);
        assert_int_equal(token_digest(token, &digest), 0);
        return digest;
}

struct config_client *add_client(struct made *made, const char *name)
{
        size_t i = made->config.clients_count++;
        struct token_digest digest = digest_for(name);

        assert_true(i < CLIENTS_MAX);
        (void)snprintf(made->client_names[i], sizeof made->client_names[i], "%s", name);
        token_digest_write(&digest, made->hex[i]);
        made->clients[i] = (struct config_client){
                .name = made->client_names[i], .token_sha256 = made->hex[i], .weight = 1};
        made->config.clients = made->clients;
        return &made->clients[i];
}

void add_site(struct made *made, const char *pattern, int64_t until_ms)
{
        struct config_sites *allow = &made->config.sites.allow;
        size_t i = allow->count++;

        assert_true(i < SITES_MAX);
        (void)snprintf(made->patterns[i], sizeof made->patterns[i], "%s", pattern);
        made->sites[i] = (struct config_site){.site = made->patterns[i], .until_ms = until_ms};
        allow->items = made->sites;
}

struct policy *policy_of(struct fixture *f)
{
        struct policy *policy = NULL;

        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), 0);
        return policy;
}

struct client *find_at(const struct policy *policy, const char *name, int64_t now_wall_ms)
{
        struct token_digest digest = digest_for(name);

        return policy_find(policy, &digest, now_wall_ms);
}
