/*
 * scheduler_mail: the mail by which the scheduler goes on in another turn of a loop.
 */
#include "dispatch/scheduler_private.h"

#include "base/loop.h"
#include "store/store.h"

#include <unistd.h>

#define LET_IN_US 100

/* A mail once posted belongs to the loop, so it is forgotten here. */
void scheduler_tell_idle_locked(struct scheduler *scheduler)
{
        if (!scheduler->draining || !scheduler->idle)
                return;
        if (scheduler->flying > 0 || scheduler->records > 0 || scheduler->admissions > 0 ||
            scheduler->round.state == TURN_ASKED)
                return;
        if (!scheduler->queue_stays && scheduler->queue.count > 0)
                return;
        struct mail *idle = scheduler->idle;
        scheduler->idle = NULL;
        loop_post(scheduler->idle_loop, idle);
}

void scheduler_let_others_in_locked(struct scheduler *scheduler)
{
        (void)pthread_mutex_unlock(&scheduler->mutex);
        (void)usleep(LET_IN_US);
        (void)pthread_mutex_lock(&scheduler->mutex);
}

bool scheduler_store_writes(const struct scheduler *scheduler)
{
        return scheduler->setup.store && store_healthy(scheduler->setup.store);
}

/* At the stop nothing is begun but by a tick. */
void scheduler_expire_more_locked(struct scheduler *scheduler)
{
        struct expiry *expiry = &scheduler->expiry;

        if (expiry->posted || scheduler->draining || scheduler->endings >= ENDINGS_STORED_MAX ||
            !expiry->loop ||
            (!scheduler->given_up &&
             !unfinished_first_overdue(&scheduler->unfinished, expiry->now_ms)))
                return;
        expiry->posted = true;
        loop_post(expiry->loop, &expiry->mail);
}

void scheduler_walk_on_locked(struct walk *walk)
{
        const struct scheduler *scheduler = walk->scheduler;

        if (!walk->kind || walk->posted)
                return;
        if (walk->waits && scheduler->endings >= ENDINGS_STORED_MAX &&
            scheduler_store_writes(scheduler))
                return;
        walk->posted = true;
        loop_post(walk->loop, &walk->mail);
}
