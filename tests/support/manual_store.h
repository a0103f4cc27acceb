/*
 * manual_store: a backend of the store for tests. It holds all that it is given back from another
 * store, until a test releases it or a random time has passed. So nothing is durable, and nobody is
 * notified, before a moment that the test decides.
 *
 * What concerns one purchase is released in the order in which it was given, as store.h demands;
 * deletions come after all that was given before them.
 */
#ifndef SOLVEGATE_TESTS_SUPPORT_MANUAL_STORE_H
#define SOLVEGATE_TESTS_SUPPORT_MANUAL_STORE_H

#include <stddef.h>

struct store;

/*
 * When it releases by itself. A failure is that of a commit: until another short time has passed
 * the store is unhealthy, records that may fail end with -EIO, and the others wait.
 */
struct manual_store_options {
        unsigned seed;
        int delay_max_ms;       /* each is held for 0 to so many ms */
        int failures_per_mille; /* of the records that may fail */
};

/* Wraps a store, which it closes when it is closed. With options it releases by itself, from
 * store_start() on; with NULL only as the functions below say. */
struct store *manual_store_new(struct store *inner, const struct manual_store_options *options);

/* How many records, fetches and deletions are held. Thread: any, like all that follow. */
size_t manual_store_held(struct store *store);

/* Waits until so many are held. Fails the program after a minute. */
void manual_store_wait(struct store *store, size_t count);

/* Gives the oldest to the inner store, or all. Requires that there is one. */
void manual_store_release_one(struct store *store);
void manual_store_release_all(struct store *store);

/* Lets the oldest, a record that may fail, fail with -EIO. */
void manual_store_fail_one(struct store *store);

/* Drops what is held, as a kill does: the inner store has nothing of it. So that nothing leaks, the
 * callers of records get -ECANCELED. Requires that no fetch is held. */
void manual_store_discard(struct store *store);

#endif
