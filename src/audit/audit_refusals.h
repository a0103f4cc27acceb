/*
 * audit_refusals: how many refusals get a line of their own in the audit.
 *
 * Each client has an allowance of its own, a token bucket, and all refusals that name none share
 * another one. So one client's flood leaves the others theirs. What is beyond is counted, for a
 * line that sums up.
 *
 * Not locked: the audit's mutex guards it.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_REFUSALS_H
#define SOLVEGATE_AUDIT_AUDIT_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Refusals of each client have a line each up to this rate, after a burst; those beyond are summed
 * up, in a line for each client and second. So a client cannot use up what another one has. Neither
 * can strangers, whose refusals name no client and share a rate of their own.
 */
#define AUDIT_REFUSALS_PER_S  20
#define AUDIT_REFUSALS_BURST  10000
#define AUDIT_STRANGERS_PER_S 5
#define AUDIT_STRANGERS_BURST 1000

/* What waits in memory while the disk is slow, or full; more refusals are only counted. Once half
 * of all clients' lines wait, each client may have a sixteenth. */
#define AUDIT_REFUSALS_WAITING_MAX  20000
#define AUDIT_STRANGERS_WAITING_MAX 2000

/* So many clients have an allowance of their own; further ones share that of strangers. */
#define AUDIT_CLIENTS_MAX 4096

/* One client's, or that of strangers. It lives as long as its table. */
struct audit_source;

struct audit_refusals {
        struct audit_source *strangers;
        struct audit_source *clients; /* a table by name */
        struct audit_source *summed;  /* a list of those with refusals that are only counted */
        int64_t waiting_clients;      /* lines of all clients that are not in the file */
};

/* Returns 0 or -ENOMEM. */
int audit_refusals_init(struct audit_refusals *refusals, int64_t now_ms);
void audit_refusals_done(struct audit_refusals *refusals);

/* The source of a client's refusals; of strangers for NULL and "", and without memory. */
struct audit_source *audit_refusals_find(struct audit_refusals *refusals, const char *client,
                                         int64_t now_ms);

/* Returns whether one more refusal gets a line of its own, and counts it as waiting. */
bool audit_refusals_admit(struct audit_refusals *refusals, struct audit_source *source,
                          int64_t now_ms);

/* A line that was admitted is in the file, or there was no memory for it. */
void audit_refusals_leave(struct audit_refusals *refusals, struct audit_source *source);

/* Counts a refusal without a line. */
void audit_refusals_sum(struct audit_refusals *refusals, struct audit_source *source);

/* Whether any refusals are only counted. */
bool audit_refusals_any_summed(const struct audit_refusals *refusals);

/*
 * Takes the next source with such refusals: sets how many there are, which are then 0, and its
 * client, NULL for strangers. Returns false if there is none. audit_refusals_sum_back() undoes it.
 */
bool audit_refusals_take_sum(struct audit_refusals *refusals, struct audit_source **ret_source,
                             const char **ret_client, int64_t *ret_count);
void audit_refusals_sum_back(struct audit_refusals *refusals, struct audit_source *source,
                             int64_t count);

#endif
