/*
 * account: see account.h.
 */
#include "upstream/account.h"

#include "config/config.h"
#include "config/config_url.h"
#include "config/credential.h"
#include "upstream/ca_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- terms ---- */

static void terms_free(struct account_terms *terms)
{
        credential_free(terms->credential);
        free(terms->url);
        free(terms->ca);
        free(terms->credential_name);
        free(terms);
}

int account_terms_new(const struct config_upstream *config, struct credential *credential,
                      struct account_terms **ret_terms)
{
        struct account_terms *terms = calloc(1, sizeof *terms);
        const char *problem; /* who has checked the configuration has told it */

        if (!terms) {
                credential_free(credential);
                return -ENOMEM;
        }
        atomic_init(&terms->references, 1);
        terms->credential = credential;
        terms->api = config->api;
        terms->max_in_flight = config->max_in_flight;
        terms->priority = config->priority;
        terms->url = strdup(config->url);
        terms->credential_name = strdup(config->credential);
        int r = terms->url && terms->credential_name ? 0 : -ENOMEM;
        /* Other certificates are other terms, whatever their file is called: they come with each
         * question, so that libcurl makes new connections for them. */
        if (r == 0 && config->ca)
                r = ca_file_read(config->ca, &terms->ca, &terms->ca_len, &problem);
        if (r < 0) {
                terms_free(terms);
                return r;
        }
        *ret_terms = terms;
        return 0;
}

struct account_terms *account_terms_ref(struct account_terms *terms)
{
        (void)atomic_fetch_add_explicit(&terms->references, 1, memory_order_relaxed);
        return terms;
}

void account_terms_unref(struct account_terms *terms)
{
        if (terms && atomic_fetch_sub_explicit(&terms->references, 1, memory_order_acq_rel) == 1)
                terms_free(terms);
}

static bool same_ca(const struct account_terms *a, const struct account_terms *b)
{
        if (!a->ca || !b->ca)
                return a->ca == b->ca;
        return a->ca_len == b->ca_len && memcmp(a->ca, b->ca, a->ca_len) == 0;
}

static bool same_place(const struct account_terms *a, const struct account_terms *b)
{
        return a->api == b->api && strcmp(a->url, b->url) == 0;
}

bool account_terms_same_jobs(const struct account_terms *a, const struct account_terms *b)
{
        int same_account = credential_same_account(a->credential, b->credential);

        if (same_account < 0)
                same_account = strcmp(a->credential_name, b->credential_name) == 0;
        return same_account && same_place(a, b);
}

struct account_key account_terms_key(const struct account_terms *terms)
{
        return (struct account_key){terms->url, terms->credential_name, terms->credential};
}

static bool same_origin(const char *url_a, const char *url_b)
{
        char host_a[CONFIG_HOST_BYTES_MAX], host_b[CONFIG_HOST_BYTES_MAX];
        int port_a = 0, port_b = 0;

        config_url_split(url_a, host_a, &port_a);
        config_url_split(url_b, host_b, &port_b);
        return url_a[4] == url_b[4] && port_a == port_b && /* http: or https: */
               strcasecmp(host_a, host_b) == 0;
}

bool account_key_same(const struct account_key *a, const struct account_key *b)
{
        int same_uid = credential_same_account(a->credential, b->credential);

        if (!same_origin(a->url, b->url))
                return false;
        if (same_uid >= 0)
                return same_uid;
        return credential_same_key(a->credential, b->credential) ||
               strcmp(a->credential_name, b->credential_name) == 0;
}

unsigned account_terms_compare(const struct account_terms *a, const struct account_terms *b)
{
        unsigned differ = 0;

        if (strcmp(a->credential_name, b->credential_name) != 0 ||
            !credential_equal(a->credential, b->credential))
                differ |= ACCOUNT_CREDENTIAL;
        if (!same_place(a, b))
                differ |= ACCOUNT_PLACE;
        if (!same_ca(a, b))
                differ |= ACCOUNT_CA;
        if (a->max_in_flight != b->max_in_flight || a->priority != b->priority)
                differ |= ACCOUNT_LIMITS;
        return differ;
}

void account_place(const char *url, int api, char ret_place[static ACCOUNT_PLACE_BYTES_MAX])
{
        (void)snprintf(ret_place, ACCOUNT_PLACE_BYTES_MAX, "%d %s", api, url);
}

/* ---- accounts ---- */

int account_new(const char *name, struct account **ret_account)
{
        struct account *account = calloc(1, sizeof *account);

        if (!account)
                return -ENOMEM;
        account->retired = true;
        account->gone = true;
        account->name = strdup(name);
        if (!account->name) {
                free(account);
                return -ENOMEM;
        }
        *ret_account = account;
        return 0;
}

void account_free(struct account *account)
{
        if (!account)
                return;
        account_terms_unref(account->terms);
        free(account->name);
        free(account);
}

size_t accounts_count(const struct accounts *accounts)
{
        return atomic_load_explicit(&accounts->count, memory_order_acquire);
}

struct account *accounts_find(const struct accounts *accounts, const char *name)
{
        size_t count = accounts_count(accounts);

        for (size_t i = 0; i < count; i++) {
                if (strcmp(accounts->items[i]->name, name) == 0)
                        return accounts->items[i];
        }
        return NULL;
}

void accounts_add(struct accounts *accounts, struct account *account)
{
        size_t count = accounts_count(accounts);

        assert(count < ACCOUNTS_EVER_MAX);
        account->index = count;
        accounts->items[count] = account;
        atomic_store_explicit(&accounts->count, count + 1, memory_order_release);
}

void accounts_done(struct accounts *accounts)
{
        size_t count = accounts_count(accounts);

        for (size_t i = 0; i < count; i++)
                account_free(accounts->items[i]);
        atomic_store_explicit(&accounts->count, 0, memory_order_relaxed);
}
