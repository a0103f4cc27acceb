/*
 * charges: see charges.h. There are few pairs, as many as the configuration names.
 */
#include "engine/charges.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pair {
        char *client;
        char *upstream;
        int64_t charged;
        int64_t unknown;
        struct pair *next;
};

struct charges {
        pthread_mutex_t mutex;
        struct pair *pairs; /* guarded by mutex; by client and upstream. Each stays once it is
                               there, so one may be kept without the mutex */
};

int charges_new(struct charges **ret_charges)
{
        struct charges *charges = calloc(1, sizeof *charges);

        if (!charges)
                return -ENOMEM;
        (void)pthread_mutex_init(&charges->mutex, NULL);
        *ret_charges = charges;
        return 0;
}

static void pair_free(struct pair *pair)
{
        free(pair->client);
        free(pair->upstream);
        free(pair);
}

void charges_free(struct charges *charges)
{
        if (!charges)
                return;
        while (charges->pairs) {
                struct pair *pair = charges->pairs;
                charges->pairs = pair->next;
                pair_free(pair);
        }
        (void)pthread_mutex_destroy(&charges->mutex);
        free(charges);
}

static int compare(const struct pair *pair, const char *client, const char *upstream)
{
        int order = strcmp(pair->client, client);

        return order != 0 ? order : strcmp(pair->upstream, upstream);
}

/* Returns where the pair is, or belongs. */
static struct pair **find_locked(struct charges *charges, const char *client, const char *upstream)
{
        struct pair **place = &charges->pairs;

        while (*place && compare(*place, client, upstream) < 0)
                place = &(*place)->next;
        return place;
}

/* Returns NULL without memory. */
static struct pair *add_locked(struct pair **place, const char *client, const char *upstream)
{
        struct pair *pair = calloc(1, sizeof *pair);

        if (!pair)
                return NULL;
        pair->client = strdup(client);
        pair->upstream = strdup(upstream);
        if (!pair->client || !pair->upstream) {
                pair_free(pair);
                return NULL;
        }
        pair->next = *place;
        *place = pair;
        return pair;
}

void charges_add(struct charges *charges, const char *client, const char *upstream, int64_t charged,
                 int64_t unknown)
{
        (void)pthread_mutex_lock(&charges->mutex);
        struct pair **place = find_locked(charges, client, upstream);
        struct pair *pair = *place;
        if (!pair || compare(pair, client, upstream) != 0)
                pair = add_locked(place, client, upstream);
        if (pair) {
                pair->charged += charged;
                pair->unknown += unknown;
        }
        (void)pthread_mutex_unlock(&charges->mutex);
}

void charges_each(struct charges *charges, void (*row)(void *arg, const struct charges_row *row),
                  void *arg)
{
        struct charges_row values;

        (void)pthread_mutex_lock(&charges->mutex);
        for (const struct pair *pair = charges->pairs; pair; pair = pair->next) {
                values = (struct charges_row){pair->client, pair->upstream, pair->charged,
                                              pair->unknown};
                (void)pthread_mutex_unlock(&charges->mutex);
                row(arg, &values);
                (void)pthread_mutex_lock(&charges->mutex);
        }
        (void)pthread_mutex_unlock(&charges->mutex);
}
