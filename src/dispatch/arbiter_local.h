/*
 * arbiter_local: the arbiter of a gateway that is alone. It knows every job, so it decides at once.
 */
#ifndef SOLVEGATE_DISPATCH_ARBITER_LOCAL_H
#define SOLVEGATE_DISPATCH_ARBITER_LOCAL_H

struct arbiter;
struct results;

/* The results outlive it. They tell it of each job that they drop, by arbiter_forget(). Returns 0
 * or -ENOMEM. */
int arbiter_local_new(struct results *results, struct arbiter **ret_arbiter);

#endif
