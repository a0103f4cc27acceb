/*
 * waiter: see waiter.h.
 */
#include "job/waiter.h"

#include <assert.h>
#include <stddef.h>
#include <utlist.h>

void waiters_add_locked(struct waiter **list, struct waiter *waiter)
{
        assert(!waiter->armed && waiter->loop && waiter->mail.deliver);
        waiter->armed = true;
        DL_APPEND(*list, waiter);
}

bool waiters_remove_locked(struct waiter **list, struct waiter *waiter)
{
        if (!waiter->armed)
                return false;
        waiter->armed = false;
        DL_DELETE(*list, waiter);
        return true;
}

void waiters_wake_locked(struct waiter **list, enum waiter_level level)
{
        struct waiter *waiter, *next;

        DL_FOREACH_SAFE (*list, waiter, next) {
                if (waiter->level > level)
                        continue;
                waiter->armed = false;
                DL_DELETE(*list, waiter);
                /* From here on its owner may free it. */
                loop_post(waiter->loop, &waiter->mail);
        }
}
