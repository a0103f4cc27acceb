/*
 * entry: attaches jobs to their purchase, moves them along with it, and ends them apart from it.
 * submission.h has how they come.
 *
 * A job that leaves, because it is cancelled or too late, leaves the other jobs of its purchase as
 * they are; the last one takes a purchase that was not sent along.
 *
 * Thread: any, but where it says otherwise.
 */
#ifndef SOLVEGATE_DISPATCH_ENTRY_H
#define SOLVEGATE_DISPATCH_ENTRY_H

#include "job/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct entry_unwanted_counts;
struct job;
struct loop;
struct outcome;
struct policy;
struct purchase;
struct scheduler;

enum entry_cancel {
        ENTRY_CANCELLED, /* it is, or will be as soon as that is stored */
        ENTRY_SENT,      /* too late: it is, or may be, with the upstream; or it has ended */
};

/* Cancels a job that was not sent, or surely turned away: END_BY_OWNER or END_BY_OPERATOR. What it
 * waits for is told on this loop. Thread: the loop's. */
enum entry_cancel entry_cancel(struct scheduler *scheduler, struct loop *loop, struct job *job,
                               enum end_reason by);

/*
 * Forgets a job that could not be stored, and whose ID was not returned. Returns false, and leaves
 * the job as it is, if it is being sent or has been stored meanwhile.
 */
bool entry_withdraw(struct scheduler *scheduler, struct loop *loop, struct job *job);

/*
 * Begins to do the same to all jobs that wait and are not stored, as long as the store is
 * detached: requests that are held for them are refused at once. Goes on in the next turns of the
 * loop, as entry_expire(). Called again and again; without such a job it does nothing.
 */
void entry_withdraw_unkept(struct scheduler *scheduler, struct loop *loop);

/* Why a job of this client for this host is not to be sent any more by a policy; NULL: it is. */
const char *entry_unwanted(const struct policy *policy, const struct client *client,
                           const char *host, int64_t now_wall_ms);

/*
 * Begins to end what waits and is not to be sent any more, by the policy and the configuration that
 * the scheduler was given: jobs that nobody may have, and purchases without a try left. Goes on in
 * the next turns of the loop, as entry_expire(), and calls done when all jobs were looked at, or
 * solvegate is being stopped; not again before that. What then is still to be stored or given up
 * follows soon. Thread: the loop's.
 */
void entry_cancel_unwanted(struct scheduler *scheduler, struct loop *loop,
                           void (*done)(void *arg, const struct entry_unwanted_counts *counts),
                           void *arg);

/*
 * Begins to end all jobs that are too late, but those that are being sent; goes on in the next
 * turns of the loop, which is always the same one and outlives the scheduler. Thread: the loop's.
 */
void entry_expire(struct scheduler *scheduler, struct loop *loop, int64_t now_ms);

/* Ends every job that waits, before it returns: solvegate is being stopped, and keeps nothing.
 * Thread: the loop's. */
void entry_cancel_waiting(struct scheduler *scheduler, struct loop *loop);

/*
 * What the store had kept; jobs have their flow. A purchase that waits, was accepted, or is final,
 * with its jobs attached; or a job that ended by itself. Takes over the references. Before any
 * thread is started. Returns 0 or -ENOMEM.
 */
int entry_restore(struct scheduler *scheduler, struct purchase *purchase, struct outcome *outcome,
                  int64_t finished_wall_ms);
int entry_restore_ended(struct scheduler *scheduler, struct job *job, struct outcome *outcome,
                        int64_t finished_wall_ms);

#endif
