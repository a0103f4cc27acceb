/*
 * entry_review: jobs that a reload has taken off: their client or site is not allowed any more, or
 * their purchase has no attempt left. A walk ends those that wait; one that comes back to the queue
 * is looked at there; see entry.h.
 */
#include "dispatch/entry.h"

#include "access/clients.h"
#include "access/policy.h"
#include "base/clock.h"
#include "config/config.h"
#include "dispatch/end_job.h"
#include "dispatch/entry_walk.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#define WHOLE_MAX 16 /* jobs of a purchase that is given up as a whole */

/* Whether a purchase that waits can still be sent. */
static bool has_tries_locked(const struct scheduler *scheduler, const struct purchase *purchase)
{
        return entry_has_tries_locked(scheduler, purchase, purchase->attempts);
}

static void review_again_locked(struct scheduler *scheduler);

/* Who pays is the last to go, so that the payment goes to one who stays. Of very many the rest is
 * left to another review. */
static void end_unwanted_locked(struct endings *endings, struct purchase *purchase)
{
        struct scheduler *scheduler = endings->scheduler;
        struct job *job, *next;

        for (job = purchase->jobs->sibling_next; job; job = next) {
                next = job->sibling_next;
                if (entry_wanted_locked(scheduler, job))
                        continue;
                if (endings->count >= ENDINGS_BATCH - 1) {
                        review_again_locked(scheduler);
                        break;
                }
                end_job_locked(endings, job, END_NOT_ALLOWED);
        }
        if (!entry_wanted_locked(scheduler, purchase->jobs))
                end_job_locked(endings, purchase->jobs, END_NOT_ALLOWED);
}

void entry_settle_returned_locked(struct scheduler *scheduler, struct loop *loop,
                                  struct purchase *purchase, bool payer_left)
{
        struct endings endings = {.scheduler = scheduler, .loop = loop};

        (void)purchase_ref(purchase);
        if (payer_left)
                end_pass_payment_on_locked(&endings, purchase);
        if (purchase->jobs && purchase->given_up == END_NOT)
                end_unwanted_locked(&endings, purchase);
        if (purchase->jobs && !has_tries_locked(scheduler, purchase))
                end_all_jobs_locked(&endings, purchase, END_NO_TRIES);
        endings_write_locked(&endings);
        purchase_unref(purchase);
}

/* Jobs of this purchase have ended, or are going to: how many there were before tells. */
static void count_ends_locked(const struct purchase *purchase, size_t before, bool cancels,
                              struct entry_unwanted_counts *counts)
{
        size_t left = purchase->given_up == END_NOT ? purchase->job_count : 0;

        *(cancels ? &counts->cancelled : &counts->given_up) += before - left;
}

/* Returns whether no job of a purchase is allowed; false if it has many, of which each would look
 * at all. */
static bool all_unwanted_locked(const struct scheduler *scheduler, const struct purchase *purchase)
{
        const struct job *job;

        if (purchase->job_count > WHOLE_MAX)
                return false;
        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (entry_wanted_locked(scheduler, job))
                        return false;
        }
        return true;
}

/*
 * Ends a job that waits, or all of its purchase, if it is not to be sent or has no try left.
 * Whoever goes along is counted too. Only a job that leaves others behind has to wait for the
 * store: a purchase that is given up does that by itself.
 */
static bool take_off(struct endings *endings, struct job *job, struct walk *walk)
{
        struct scheduler *scheduler = endings->scheduler;
        struct purchase *purchase = job->purchase;
        size_t before = purchase->job_count;

        if (purchase->place != PURCHASE_WAITS || purchase->given_up != END_NOT)
                return true;
        bool unwanted = !entry_wanted_locked(scheduler, job);
        bool cancels = unwanted && !purchase->doubtful;
        bool whole = unwanted && all_unwanted_locked(scheduler, purchase);
        if (unwanted && !whole && !walk_has_room_locked(endings))
                return false;
        (void)purchase_ref(purchase);
        if (whole)
                end_all_jobs_locked(endings, purchase, END_NOT_ALLOWED);
        else if (unwanted)
                end_job_locked(endings, job, END_NOT_ALLOWED);
        else if (!has_tries_locked(scheduler, purchase))
                end_all_jobs_locked(endings, purchase, END_NO_TRIES);
        count_ends_locked(purchase, before, cancels, &walk->counts);
        purchase_unref(purchase);
        return true;
}

/* What waits at the stop is decided about by the next start. */
static bool is_not_draining(const struct scheduler *scheduler)
{
        return !scheduler->draining;
}

static const struct walk_kind review_kind = {is_not_draining, take_off};

/* Before the first tick there was no reload. */
static void review_again_locked(struct scheduler *scheduler)
{
        if (scheduler->review.kind)
                walk_again_locked(&scheduler->review);
        else if (scheduler->expiry.loop)
                walk_begin_locked(&scheduler->review, &review_kind, scheduler->expiry.loop);
}

void entry_cancel_unwanted(struct scheduler *scheduler, struct loop *loop,
                           void (*done)(void *arg, const struct entry_unwanted_counts *counts),
                           void *arg)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        assert(!scheduler->review.done);
        scheduler->review.done = done;
        scheduler->review.arg = arg;
        walk_begin_locked(&scheduler->review, &review_kind, loop);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
