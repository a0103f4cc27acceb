/*
 * charges: see charges.h. Pairs are found in a table; they are sorted when they are listed.
 */
#include "dispatch/charges.h"

#include "base/client_name.h"
#include "base/hash_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define KEY_BYTES_MAX ((size_t)2 * (CLIENT_NAME_BYTES_MAX + 1)) /* two names with a NUL each */

/* Stays once it is there. */
struct pair {
        UT_hash_handle hh;
        int64_t charged; /* this and the next: guarded by the mutex */
        int64_t unknown;
        struct pair *next;    /* in the list of new ones, or in the sorted list */
        const char *upstream; /* in key, behind the client's NUL */
        char key[];           /* client and upstream, with a NUL each */
};

struct charges {
        pthread_mutex_t mutex;
        struct pair *pairs; /* guarded by the mutex: the table */
        struct pair *fresh; /* likewise: those that are not in the sorted list yet */

        pthread_mutex_t list_mutex; /* taken before the mutex */
        struct pair *sorted;        /* guarded by it: by client and upstream */
};

int charges_new(struct charges **ret_charges)
{
        struct charges *charges = calloc(1, sizeof *charges);

        if (!charges)
                return -ENOMEM;
        (void)pthread_mutex_init(&charges->mutex, NULL);
        (void)pthread_mutex_init(&charges->list_mutex, NULL);
        *ret_charges = charges;
        return 0;
}

void charges_free(struct charges *charges)
{
        struct pair *pair, *next;

        if (!charges)
                return;
        HASH_ITER (hh, charges->pairs, pair, next) {
                HASH_DEL(charges->pairs, pair);
                free(pair);
        }
        (void)pthread_mutex_destroy(&charges->list_mutex);
        (void)pthread_mutex_destroy(&charges->mutex);
        free(charges);
}

/* Returns NULL without memory. */
static struct pair *pair_new(const char *key, size_t key_bytes)
{
        struct pair *pair = calloc(1, sizeof *pair + key_bytes);

        if (!pair)
                return NULL;
        memcpy(pair->key, key, key_bytes);
        pair->upstream = pair->key + strlen(key) + 1;
        return pair;
}

/* Finds a pair, or adds it. Returns NULL without memory. */
static struct pair *find_or_add_locked(struct charges *charges, const char *key, size_t key_bytes)
{
        struct pair *pair = NULL;

        HASH_FIND(hh, charges->pairs, key, key_bytes, pair);
        if (pair)
                return pair;
        pair = pair_new(key, key_bytes);
        if (!pair)
                return NULL;
        HASH_ADD_KEYPTR(hh, charges->pairs, pair->key, key_bytes, pair);
        if (!pair->hh.tbl) { /* HASH_NONFATAL_OOM */
                free(pair);
                return NULL;
        }
        LL_PREPEND(charges->fresh, pair);
        return pair;
}

void charges_add(struct charges *charges, const char *client, const char *upstream, int64_t charged,
                 int64_t unknown)
{
        size_t client_bytes = strlen(client) + 1, upstream_bytes = strlen(upstream) + 1;
        char key[KEY_BYTES_MAX];

        if (client_bytes + upstream_bytes > sizeof key)
                return;
        memcpy(key, client, client_bytes);
        memcpy(key + client_bytes, upstream, upstream_bytes);
        (void)pthread_mutex_lock(&charges->mutex);
        struct pair *pair = find_or_add_locked(charges, key, client_bytes + upstream_bytes);
        if (pair) {
                pair->charged += charged;
                pair->unknown += unknown;
        }
        (void)pthread_mutex_unlock(&charges->mutex);
}

/* ---- listing ---- */

static int compare(const struct pair *a, const struct pair *b)
{
        int order = strcmp(a->key, b->key); /* the clients */

        return order != 0 ? order : strcmp(a->upstream, b->upstream);
}

/* Merges a sorted list into another one. */
static struct pair *merge(struct pair *one, struct pair *other)
{
        struct pair *merged = NULL, **end = &merged;

        while (one && other) {
                struct pair **least = compare(one, other) <= 0 ? &one : &other;
                *end = *least;
                end = &(*least)->next;
                *least = (*least)->next;
        }
        *end = one ? one : other;
        return merged;
}

static void sort_fresh_list_locked(struct charges *charges)
{
        (void)pthread_mutex_lock(&charges->mutex);
        struct pair *fresh = charges->fresh;
        charges->fresh = NULL;
        (void)pthread_mutex_unlock(&charges->mutex);
        LL_SORT(fresh, compare);
        charges->sorted = merge(charges->sorted, fresh);
}

static void read_pair(struct charges *charges, const struct pair *pair, struct charges_row *ret_row)
{
        (void)pthread_mutex_lock(&charges->mutex);
        *ret_row = (struct charges_row){pair->key, pair->upstream, pair->charged, pair->unknown};
        (void)pthread_mutex_unlock(&charges->mutex);
}

void charges_each(struct charges *charges, void (*row)(void *arg, const struct charges_row *row),
                  void *arg)
{
        struct charges_row values;
        struct pair *pair;

        (void)pthread_mutex_lock(&charges->list_mutex);
        sort_fresh_list_locked(charges);
        LL_FOREACH (charges->sorted, pair) {
                read_pair(charges, pair, &values);
                row(arg, &values);
        }
        (void)pthread_mutex_unlock(&charges->list_mutex);
}
