/*
 * keep: makes a job durable before its ID is returned.
 *
 * A job whose purchase waits is written with its body; of one whose purchase was sent, or is final,
 * a small row is enough. A job that cannot be written is to be withdrawn (entry_withdraw).
 *
 * Thread: any, but where it says otherwise.
 */
#ifndef SOLVEGATE_DISPATCH_KEEP_H
#define SOLVEGATE_DISPATCH_KEEP_H

#include <stdbool.h>

struct job;
struct loop;
struct scheduler;
struct waiter;

/* Returns whether a job is durable, so that its ID may be returned. */
bool keep_done(struct scheduler *scheduler, const struct job *job);

/*
 * Writes a job, and arms the waiter until it is written or that has failed. Returns false when
 * there is nothing to wait for. Thread: the loop's.
 */
bool keep_wait(struct scheduler *scheduler, struct loop *loop, struct job *job,
               struct waiter *waiter);

/* Disarms a waiter. Returns false when its mail is on the way. */
bool keep_unwait(struct scheduler *scheduler, struct job *job, struct waiter *waiter);

#endif
