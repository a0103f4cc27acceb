/*
 * gateway_reload: what a configuration puts in force, at the start and at each reload; see
 * gateway.h.
 */
#include "gateway/gateway_reload.h"

#include "access/policy.h"
#include "config/config.h"
#include "config/credential.h"
#include "config/problem.h"
#include "dispatch/entry.h"
#include "dispatch/scheduler.h"
#include "gateway/balance.h"
#include "gateway/gateway.h"
#include "gateway/gateway_private.h"
#include "job/results.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* An eighth of the bodies' memory is for clients that have little of it. */
#define SPARE_PART 8

struct gateway_change {
        const struct config *config;
        struct policy *policy;                /* a reference */
        struct scheduler_upstream *upstreams; /* one for each of the configuration, in order */
        unsigned *differ;                     /* likewise: of its terms, see account.h */
        size_t count;                         /* of those that were made */
};

void gateway_change_free(struct gateway_change *change)
{
        if (!change)
                return;
        for (size_t i = 0; i < change->count; i++) {
                account_terms_unref(change->upstreams[i].terms);
                free(change->upstreams[i].spare);
        }
        free(change->upstreams);
        free(change->differ);
        policy_unref(change->policy);
        free(change);
}

/* ---- preparing ---- */

/* A name that never was gets an account, which is retired until the change is applied. */
static int add_account(struct gateway *gateway, const char *name, struct account **ret_account)
{
        struct account *account;
        int r = account_new(name, &account);

        if (r < 0)
                return r;
        r = balances_add(gateway->balances, account);
        if (r < 0) {
                account_free(account);
                return r;
        }
        accounts_add(&gateway->accounts, account);
        *ret_account = account;
        return 0;
}

/* Names are counted before any account is made: a reload that is refused leaves none behind. */
static int check_names(const struct gateway *gateway, const struct config *config,
                       struct strbuf *problem)
{
        size_t count = accounts_count(&gateway->accounts);

        for (size_t i = 0; i < config->upstreams_count; i++)
                count += !accounts_find(&gateway->accounts, config->upstreams[i].name);
        if (count <= ACCOUNTS_EVER_MAX)
                return 0;
        problem_write(problem, config->file, 0,
                      "upstreams would have had %zu names since the start, of at most %d; use "
                      "names that there were before, or restart",
                      count, ACCOUNTS_EVER_MAX);
        return -ENOSPC;
}

/* Takes over the credential. Terms that are as they were stay. */
static int prepare_upstream(struct gateway *gateway, const char *file,
                            const struct config_upstream *config, struct credential *credential,
                            struct strbuf *problem, struct gateway_change *change)
{
        struct scheduler_upstream *upstream = &change->upstreams[change->count];
        struct account_slots *spare = calloc(1, sizeof *spare);
        struct account_terms *terms = NULL;
        int r = account_terms_new(config, credential, &terms);

        if (r == 0 && !spare)
                r = -ENOMEM;
        if (r < 0 && r != -ENOMEM)
                problem_write(problem, file, 0, "upstreams: ca \"%.200s\" cannot be read: %s",
                              config->ca, strerror(-r));
        if (r == 0) {
                upstream->account = accounts_find(&gateway->accounts, config->name);
                if (!upstream->account)
                        r = add_account(gateway, config->name, &upstream->account);
        }
        if (r < 0) {
                account_terms_unref(terms);
                free(spare);
                return r;
        }
        upstream->spare = spare;
        const struct account *account = upstream->account;
        unsigned differ = account->terms ? account_terms_compare(account->terms, terms) : 0;
        upstream->anew = account->retired ||
                         (differ & (ACCOUNT_CREDENTIAL | ACCOUNT_PLACE | ACCOUNT_CA)) != 0;
        upstream->terms = terms;
        if (account->terms && differ == 0) {
                account_terms_unref(terms);
                upstream->terms = NULL;
        }
        change->differ[change->count++] = differ;
        return 0;
}

/* Takes over all credentials. */
static int prepare_upstreams(struct gateway *gateway, const struct config *config,
                             struct credential **credentials, struct strbuf *problem,
                             struct gateway_change *change)
{
        int r = check_names(gateway, config, problem);

        change->upstreams = calloc(config->upstreams_count, sizeof *change->upstreams);
        change->differ = calloc(config->upstreams_count, sizeof *change->differ);
        if (r == 0 && (!change->upstreams || !change->differ))
                r = -ENOMEM;
        for (size_t i = 0; i < config->upstreams_count; i++) {
                if (r == 0)
                        r = prepare_upstream(gateway, config->file, &config->upstreams[i],
                                             credentials[i], problem, change);
                else
                        credential_free(credentials[i]);
                credentials[i] = NULL;
        }
        return r;
}

int gateway_prepare(struct gateway *gateway, const struct config *config,
                    struct credential **credentials, struct strbuf *problem,
                    struct gateway_change **ret_change)
{
        struct gateway_change *change = calloc(1, sizeof *change);

        if (!change)
                return -ENOMEM;
        change->config = config;
        int r = policy_new(config, gateway->clients, &change->policy);
        if (r == 0)
                r = prepare_upstreams(gateway, config, credentials, problem, change);
        if (r < 0) {
                gateway_change_free(change);
                return r;
        }
        *ret_change = change;
        return 0;
}

struct policy *gateway_change_policy(const struct gateway_change *change)
{
        return change->policy;
}

/* ---- what is different ---- */

static bool stays(const struct gateway_change *change, const struct account *account)
{
        for (size_t i = 0; i < change->count; i++) {
                if (change->upstreams[i].account == account)
                        return true;
        }
        return false;
}

void gateway_change_each(const struct gateway *gateway, const struct gateway_change *change,
                         void (*told)(void *arg, enum gateway_upstream_change what,
                                      const char *name),
                         void *arg)
{
        const struct accounts *accounts = &gateway->accounts;

        for (size_t i = 0; i < change->count; i++) {
                const struct account *account = change->upstreams[i].account;
                unsigned differ = change->differ[i];
                if (account->retired)
                        told(arg, GATEWAY_UPSTREAM_NEW, account->name);
                else if (differ & ACCOUNT_CREDENTIAL)
                        told(arg, GATEWAY_UPSTREAM_CREDENTIAL, account->name);
                if (!account->retired && (differ & ACCOUNT_PLACE))
                        told(arg, GATEWAY_UPSTREAM_PLACE, account->name);
                if (!account->retired && (differ & ACCOUNT_CA))
                        told(arg, GATEWAY_UPSTREAM_CA, account->name);
                if (!account->retired && (differ & ACCOUNT_LIMITS))
                        told(arg, GATEWAY_UPSTREAM_LIMITS, account->name);
        }
        for (size_t i = 0; i < accounts_count(accounts); i++) {
                if (!accounts->items[i]->retired && !stays(change, accounts->items[i]))
                        told(arg, GATEWAY_UPSTREAM_GONE, accounts->items[i]->name);
        }
}

/* ---- applying ---- */

/* Where there are several clients, there is room for who has little. */
static void apply_bodies(struct gateway *gateway, const struct config *config)
{
        bool shared = !policy_everyone(gateway->policy);
        int64_t max_bytes = config->limits.queue_bytes;

        atomic_store(&gateway->bodies.max_bytes, max_bytes);
        atomic_store(&gateway->bodies.body_max_bytes, config->limits.body_bytes);
        atomic_store(&gateway->bodies.spare_bytes, shared ? max_bytes / SPARE_PART : 0);
}

void gateway_apply(struct gateway *gateway, struct gateway_change *change)
{
        const struct config *config = change->config;
        struct policy *before = gateway->policy;

        gateway->policy = policy_ref(change->policy);
        policy_unref(before);
        config_put(&gateway->config, config);
        scheduler_apply(gateway->scheduler, gateway->policy);
        scheduler_reconfigure(gateway->scheduler, config, change->upstreams, change->count);
        for (size_t i = 0; i < change->count; i++) {
                if (change->upstreams[i].anew)
                        balances_forget(gateway->balances, change->upstreams[i].account);
        }
        apply_bodies(gateway, config);
        results_limit(gateway->results, config->results.ttl_ms, config->results.bytes);
}

void gateway_cancel_unwanted(struct gateway *gateway, struct loop *loop,
                             void (*done)(void *arg, const struct entry_unwanted_counts *counts),
                             void *arg)
{
        entry_cancel_unwanted(gateway->scheduler, loop, done, arg);
}
