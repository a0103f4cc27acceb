/*
 * policy: see policy.h. A rule for each client of the configuration, found by its token or by the
 * client itself.
 */
#include "access/policy.h"

#include "access/clients.h"
#include "access/sites.h"
#include "base/digest.h"
#include "base/hash_table.h"
#include "config/config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The table of tokens is keyed by the first bytes of their digests, and looks no key up in constant
 * time: how long it takes may tell how far a digest agrees with a rule's, up to these bytes. That
 * gives nothing away. A caller chooses a token and gets a digest, which he cannot steer but by
 * trying again and again; and if he learnt these bytes he would be no nearer to the token, whose
 * bits are random and which no part of a digest tells. The whole digest is compared in constant
 * time.
 */
#define KEY_BYTES CONFIG_TOKEN_KEY_BYTES

struct rule {
        struct token_digest digest; /* its first KEY_BYTES are a key */
        int64_t until_ms;           /* wall clock: the token is good before this moment */
        struct client *client;      /* a key too */
        struct sites *sites;        /* NULL: all that the global list allows */
        size_t sites_count;         /* valid with sites: its entries */
        unsigned char sites_digest[DIGEST_BYTES]; /* of that list; zeros without one */
        int weight, max_in_flight;
        struct quota_limits limits;
        UT_hash_handle by_token, by_client;
};

struct policy {
        _Atomic unsigned references;
        struct client *everyone; /* NULL: each must show a token */
        struct sites *sites;
        struct rule *rules;
        size_t rules_count; /* those that are filled in */
        struct rule *by_token, *by_client;
        struct config_strings origins, names;
};

static void policy_free(struct policy *policy)
{
        HASH_CLEAR(by_token, policy->by_token);
        HASH_CLEAR(by_client, policy->by_client);
        for (size_t i = 0; i < policy->rules_count; i++)
                sites_free(policy->rules[i].sites);
        free(policy->rules);
        sites_free(policy->sites);
        config_strings_free(&policy->origins);
        config_strings_free(&policy->names);
        free(policy);
}

static struct rule *find_by_token(const struct policy *policy, const struct token_digest *digest)
{
        struct rule *rule;

        HASH_FIND(by_token, policy->by_token, digest->bytes, KEY_BYTES, rule);
        return rule;
}

static struct rule *find_by_client(const struct policy *policy, const struct client *client)
{
        struct rule *rule;

        HASH_FIND(by_client, policy->by_client, &client, sizeof client, rule);
        return rule;
}

/* Where burst was left out, it is what the rate gives in a second. */
static struct quota_limits limits_of(const struct config_client *from)
{
        int64_t burst = from->burst;

        if (burst == 0) {
                burst = (int64_t)from->rate;
                if ((double)burst < from->rate)
                        burst++;
        }
        return (struct quota_limits){
                .rate = from->rate,
                .burst = burst,
                .daily = from->daily_limit,
                .monthly = from->monthly_limit,
        };
}

/* Of what two lists are compared by: notes are for people. */
static int digest_sites(const struct config_sites *allow,
                        unsigned char ret_digest[static DIGEST_BYTES])
{
        struct digest digest;
        int r = digest_init(&digest);

        if (r < 0)
                return r;
        for (size_t i = 0; i < allow->count; i++) {
                const struct config_site *entry = &allow->items[i];
                digest_update(&digest, entry->site, strlen(entry->site) + 1);
                digest_update(&digest, &entry->until_ms, sizeof entry->until_ms);
        }
        r = digest_finish(&digest, ret_digest);
        digest_done(&digest);
        return r;
}

static int rule_fill(struct rule *rule, const struct config_client *from, struct clients *clients)
{
        int r = token_digest_read(from->token_sha256, &rule->digest);

        if (r < 0)
                return r;
        rule->until_ms = from->until_ms;
        rule->weight = from->weight;
        rule->max_in_flight = from->max_in_flight;
        rule->limits = limits_of(from);
        rule->client = clients_need(clients, from->name);
        if (!rule->client)
                return -ENOMEM;
        if (from->sites.allow.count == 0)
                return 0;
        rule->sites_count = from->sites.allow.count;
        r = sites_new(from->sites.allow.items, from->sites.allow.count, &rule->sites);
        return r < 0 ? r : digest_sites(&from->sites.allow, rule->sites_digest);
}

/* Enters a rule into both tables. A name or token that is there already is -EINVAL. */
static int rule_enter(struct policy *policy, struct rule *rule)
{
        if (find_by_client(policy, rule->client) || find_by_token(policy, &rule->digest))
                return -EINVAL;
        HASH_ADD(by_token, policy->by_token, digest, KEY_BYTES, rule);
        if (!rule->by_token.tbl)
                return -ENOMEM;
        HASH_ADD(by_client, policy->by_client, client, sizeof rule->client, rule);
        return rule->by_client.tbl ? 0 : -ENOMEM;
}

static int add_rules(struct policy *policy, const struct config *config, struct clients *clients)
{
        if (config->clients_count == 0) {
                policy->everyone = clients_need(clients, CLIENT_LOCAL);
                return policy->everyone ? 0 : -ENOMEM;
        }
        policy->rules = calloc(config->clients_count, sizeof policy->rules[0]);
        if (!policy->rules)
                return -ENOMEM;
        for (size_t i = 0; i < config->clients_count; i++) {
                struct rule *rule = &policy->rules[policy->rules_count++];
                int r = rule_fill(rule, &config->clients[i], clients);
                if (r == 0)
                        r = rule_enter(policy, rule);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int policy_fill(struct policy *policy, const struct config *config, struct clients *clients)
{
        int r = sites_new(config->sites.allow.items, config->sites.allow.count, &policy->sites);

        if (r == 0)
                r = add_rules(policy, config, clients);
        if (r == 0)
                r = config_strings_copy(&config->origins, &policy->origins);
        if (r == 0)
                r = config_strings_copy(&config->server_names, &policy->names);
        return r;
}

int policy_new(const struct config *config, struct clients *clients, struct policy **ret_policy)
{
        struct policy *policy = calloc(1, sizeof *policy);

        if (!policy)
                return -ENOMEM;
        policy->references = 1;
        int r = policy_fill(policy, config, clients);
        if (r < 0) {
                policy_free(policy);
                return r;
        }
        *ret_policy = policy;
        return 0;
}

struct policy *policy_ref(struct policy *policy)
{
        policy->references++;
        return policy;
}

void policy_unref(struct policy *policy)
{
        if (policy && --policy->references == 0)
                policy_free(policy);
}

struct client *policy_everyone(const struct policy *policy)
{
        return policy->everyone;
}

static bool is_over(const struct rule *rule, int64_t now_wall_ms)
{
        return rule->until_ms != 0 && now_wall_ms >= rule->until_ms;
}

struct client *policy_find(const struct policy *policy, const struct token_digest *digest,
                           int64_t now_wall_ms)
{
        const struct rule *rule = find_by_token(policy, digest);

        if (!rule || !token_digest_equal(&rule->digest, digest))
                return NULL;
        return is_over(rule, now_wall_ms) ? NULL : rule->client;
}

bool policy_knows(const struct policy *policy, const struct client *client, int64_t now_wall_ms)
{
        const struct rule *rule = find_by_client(policy, client);

        if (!rule)
                return client == policy->everyone;
        return !is_over(rule, now_wall_ms);
}

enum policy_site policy_check_site(const struct policy *policy, const struct client *client,
                                   const char *host, int64_t now_wall_ms)
{
        switch (sites_check(policy->sites, host, now_wall_ms)) {
        case SITES_ALLOW:
                break;
        case SITES_EXPIRED:
                return POLICY_SITE_EXPIRED;
        case SITES_DENY:
                return POLICY_SITE_NOT_LISTED;
        }
        const struct rule *rule = find_by_client(policy, client);
        if (!rule || !rule->sites)
                return POLICY_SITE_ALLOWED;
        switch (sites_check(rule->sites, host, now_wall_ms)) {
        case SITES_ALLOW:
                break;
        case SITES_EXPIRED:
                return POLICY_SITE_EXPIRED_FOR_CLIENT;
        case SITES_DENY:
                return POLICY_SITE_NOT_FOR_CLIENT;
        }
        return POLICY_SITE_ALLOWED;
}

bool policy_allows_origin(const struct policy *policy, const char *origin)
{
        for (size_t i = 0; i < policy->origins.count; i++) {
                if (strcmp(policy->origins.items[i], origin) == 0)
                        return true;
        }
        return false;
}

bool policy_allows_name(const struct policy *policy, const char *name)
{
        for (size_t i = 0; i < policy->names.count; i++) {
                if (strcasecmp(policy->names.items[i], name) == 0)
                        return true;
        }
        return false;
}

bool policy_rule(const struct policy *policy, size_t index, struct policy_rule *ret_rule)
{
        if (policy->everyone && index == 0) {
                *ret_rule = (struct policy_rule){.client = policy->everyone, .weight = 1};
                return true;
        }
        if (index >= policy->rules_count)
                return false;
        const struct rule *rule = &policy->rules[index];
        *ret_rule = (struct policy_rule){
                .client = rule->client,
                .weight = rule->weight,
                .max_in_flight = rule->max_in_flight,
                .has_sites = rule->sites != NULL,
                .sites_count = rule->sites_count,
                .until_ms = rule->until_ms,
        };
        return true;
}

static bool same_limits(const struct rule *a, const struct rule *b)
{
        return a->weight == b->weight && a->max_in_flight == b->max_in_flight &&
               a->limits.rate == b->limits.rate && a->limits.burst == b->limits.burst &&
               a->limits.daily == b->limits.daily && a->limits.monthly == b->limits.monthly;
}

void policy_compare(const struct policy *before, const struct policy *after,
                    void (*told)(void *arg, enum policy_change change, const char *client),
                    void *arg)
{
        for (size_t i = 0; i < after->rules_count; i++) {
                const struct rule *rule = &after->rules[i];
                const struct rule *old = find_by_client(before, rule->client);
                const char *name = rule->client->name;
                if (!old) {
                        told(arg, POLICY_CLIENT_NEW, name);
                        continue;
                }
                if (!token_digest_equal(&old->digest, &rule->digest))
                        told(arg, POLICY_CLIENT_TOKEN, name);
                if (!same_limits(old, rule))
                        told(arg, POLICY_CLIENT_LIMITS, name);
                if (memcmp(old->sites_digest, rule->sites_digest, DIGEST_BYTES) != 0)
                        told(arg, POLICY_CLIENT_SITES, name);
                if (old->until_ms != rule->until_ms)
                        told(arg, POLICY_CLIENT_END, name);
        }
        for (size_t i = 0; i < before->rules_count; i++) {
                if (!find_by_client(after, before->rules[i].client))
                        told(arg, POLICY_CLIENT_GONE, before->rules[i].client->name);
        }
}

static void apply(struct client *client, int weight, int max_in_flight,
                  const struct quota_limits *limits, struct quota_time now)
{
        client->flow.turns.weight = weight;
        client->flow.turns.max_in_flight = max_in_flight;
        quota_set_limits(&client->quota, limits, now);
}

void policy_apply_locked(const struct policy *policy)
{
        static const struct quota_limits none = {0};
        struct quota_time now = quota_now();

        /* A client of this name may have had limits before. */
        if (policy->everyone)
                apply(policy->everyone, 1, 0, &none, now);
        for (size_t i = 0; i < policy->rules_count; i++) {
                const struct rule *rule = &policy->rules[i];
                apply(rule->client, rule->weight, rule->max_in_flight, &rule->limits, now);
        }
}
