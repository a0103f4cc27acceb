/*
 * charges: how many charges there were in all, for each client and upstream. The store keeps the
 * same in its ledger, from where this starts.
 *
 * Has its own mutex, a leaf, and one for listing, taken before it. Thread: any.
 */
#ifndef SOLVEGATE_DISPATCH_CHARGES_H
#define SOLVEGATE_DISPATCH_CHARGES_H

#include <stdint.h>

struct charges;

/* What is known of a charge once its job is settled. */
struct charges_row {
        const char *client;
        const char *upstream;
        int64_t charged; /* the upstream took the job */
        int64_t unknown; /* it may have */
};

/* Returns 0 or -ENOMEM. */
int charges_new(struct charges **ret_charges);
void charges_free(struct charges *charges);

/* Adds to a client's charges at an upstream. They are not counted without memory for a new pair,
 * nor where a name is longer than CLIENT_NAME_BYTES_MAX, which no configuration has. */
void charges_add(struct charges *charges, const char *client, const char *upstream, int64_t charged,
                 int64_t unknown);

/*
 * Calls row(…) for each pair, by client and upstream in alphabetical order. The numbers of one row
 * belong together. row() may call charges_add(), whose new pairs are in the next list, but not
 * charges_each().
 */
void charges_each(struct charges *charges, void (*row)(void *arg, const struct charges_row *row),
                  void *arg);

#endif
