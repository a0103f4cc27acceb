/*
 * entry_expire: jobs whose deadline passes, see entry.h, and those of purchases that were given up,
 * see end_all_jobs_locked().
 *
 * However many there are at once, the mutex is held for ENDINGS_BATCH of them, and so is the loop:
 * the rest follows in its next turns. Of those with an end to be stored, ENDINGS_STORED_MAX are on
 * their way to the store, so that other records wait for one short transaction only.
 */
#include "dispatch/entry.h"

#include "dispatch/end_job.h"
#include "dispatch/entry_walk.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"

/* Ends one that may be ended now. What is being sent is not, and the flight of an accepted purchase
 * sees to its last job: both are looked at again when that changes. */
static void expire_locked(struct endings *endings, struct job *job)
{
        const struct purchase *purchase = job->purchase;

        if (purchase->place == PURCHASE_WAITS)
                end_job_locked(endings, job,
                               purchase->deadline_ms <= endings->scheduler->expiry.now_ms
                                       ? END_ALL_OVERDUE
                                       : END_OVERDUE);
        else if (purchase->state == JOB_ACCEPTED && purchase->jobs->sibling_next)
                end_job_locked(endings, job, END_NO_RESULT);
        else
                unfinished_park(&endings->scheduler->unfinished, job);
}

/* Returns false if there is no job to be ended. */
static bool end_next_locked(struct endings *endings)
{
        const struct purchase *given_up = endings->scheduler->given_up;

        if (given_up) {
                end_job_locked(endings, given_up->jobs, given_up->given_up);
                return true;
        }
        struct job *job = unfinished_first_overdue(&endings->scheduler->unfinished,
                                                   endings->scheduler->expiry.now_ms);
        if (job)
                expire_locked(endings, job);
        return job != NULL;
}

/* A job that is looked at need not end, or others may end with it. */
static void end_batch_locked(struct scheduler *scheduler)
{
        struct endings endings = {.scheduler = scheduler, .loop = scheduler->expiry.loop};

        for (int i = 0; i < ENDINGS_BATCH && endings_have_room_locked(&endings); i++) {
                if (!end_next_locked(&endings))
                        break;
        }
        endings_write_locked(&endings);
}

static void on_expire_mail(struct mail *mail)
{
        struct expiry *expiry = (struct expiry *)((char *)mail - offsetof(struct expiry, mail));
        struct scheduler *scheduler =
                (struct scheduler *)((char *)expiry - offsetof(struct scheduler, expiry));

        (void)pthread_mutex_lock(&scheduler->mutex);
        expiry->posted = false;
        end_batch_locked(scheduler);
        scheduler_expire_more_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void entry_expire(struct scheduler *scheduler, struct loop *loop, int64_t now_ms)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler->expiry.loop = loop;
        scheduler->expiry.mail.deliver = on_expire_mail;
        scheduler->expiry.now_ms = now_ms;
        end_batch_locked(scheduler);
        scheduler_expire_more_locked(scheduler);
        scheduler_walk_on_locked(&scheduler->review); /* it does not wait for a store that fails */
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
