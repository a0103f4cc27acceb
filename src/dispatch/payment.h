/*
 * payment: who pays for a purchase, and what is reserved for it in a client's quota.
 *
 * The first job of a purchase pays. Its client's quota has a reservation from when the job is taken
 * until it is known whether the upstream charged; then the charge is used, or the reservation is
 * released. When the payer leaves a purchase that was not sent, a job of the same client pays, and
 * the reservation stays. Without one, the first job pays whose client has budget left.
 *
 * A part of the scheduler, whose mutex is held by the caller, unless there is no other thread yet.
 */
#ifndef SOLVEGATE_DISPATCH_PAYMENT_H
#define SOLVEGATE_DISPATCH_PAYMENT_H

#include <stdbool.h>
#include <stdint.h>

struct arbiter;
struct client;
struct job;
struct purchase;

/* A charge of this client, on this day, is reserved for a new purchase. */
void payment_reserved_locked(struct purchase *purchase, struct client *client, int64_t day);

/* Reserves for one that was taken before a restart, on the day of that, whatever the limits are by
 * now; unless it has a reservation already. */
void payment_restore_locked(struct purchase *purchase);

/* One more reservation, for a purchase that may be charged once more. Returns whether there is one.
 */
bool payment_reserve_again_locked(struct arbiter *arbiter, struct purchase *purchase);

/* It was charged, or may have been: uses a reservation, and marks the job that pays as paid. */
void payment_settle_locked(struct arbiter *arbiter, struct purchase *purchase);

/* The same mark for a purchase that was charged before the start, or may have been. */
void payment_mark_paid_locked(struct purchase *purchase);

/* Gives back what is reserved, if anything is. */
void payment_release_locked(struct arbiter *arbiter, struct purchase *purchase);

/*
 * Finds the first of its jobs whose client has something left, puts it in front, and reserves with
 * that client in place of what was reserved before. Returns false where there is none.
 */
bool payment_find_locked(struct arbiter *arbiter, struct purchase *purchase);

/*
 * The payer has left, and nothing was sent: puts another job in front, one of the same client, else
 * one of a client with budget left. Returns false if there is none.
 */
bool payment_pass_on_locked(struct arbiter *arbiter, struct purchase *purchase);

/* Fixes the payer when the purchase is taken to be sent: its first job, or NULL. */
void payment_fix_locked(struct purchase *purchase, struct job *payer);

/* The job that pays: as fixed, else the first. NULL: there is none. */
const struct job *payment_payer_locked(const struct purchase *purchase);

/* The line of its client, for the store. NULL: it is not known. */
struct store_line *payment_line_locked(const struct purchase *purchase);

/*
 * What the audit says of a charge: taken, or perhaps. upstream may be NULL. The caller frees it;
 * NULL: no memory.
 */
char *payment_describe_locked(const struct purchase *purchase, const char *upstream, bool charged,
                              const char *outcome);

#endif
