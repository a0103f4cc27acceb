/*
 * waiter: somebody on a loop who wants to know when something has come so far.
 *
 * A waiter is part of a held request. It is armed on one list, and leaves it in one of two ways:
 * either whoever moves the thing on takes it off and posts its mail (waiters_wake), or its owner
 * takes it off because the time is over (waiters_remove). Both happen under the lock that guards
 * the list, so exactly one of them wins; an owner who came too late gets the mail soon, and must
 * stay alive until then.
 */
#ifndef SOLVEGATE_JOB_WAITER_H
#define SOLVEGATE_JOB_WAITER_H

#include "base/loop.h"

#include <stdbool.h>

/* How far the thing has come. Each level includes the ones before. */
enum waiter_level {
        WAITER_NOTHING,
        WAITER_FIRST_ANSWER, /* the upstream has answered, if only "queued" */
        WAITER_FINAL,
};

struct waiter {
        struct mail mail;        /* set by the owner; delivered on loop */
        struct loop *loop;       /* set by the owner */
        enum waiter_level level; /* set by the owner: wake at this level */
        bool armed;              /* guarded as the list */
        struct waiter *prev, *next;
};

/* The list is a pointer, NULL when empty. Requires the lock that guards the list. */
void waiters_add_locked(struct waiter **list, struct waiter *waiter);

/* Returns true when it was on the list, false when its mail is on the way. */
bool waiters_remove_locked(struct waiter **list, struct waiter *waiter);

/* Takes off and tells all who wait for this level or a lower one. */
void waiters_wake_locked(struct waiter **list, enum waiter_level level);

#endif
