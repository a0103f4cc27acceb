/*
 * submission: see submission.h.
 */
#include "dispatch/submission.h"

#include "access/clients.h"
#include "dispatch/arbiter.h"
#include "dispatch/entry.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/waiter.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

struct submission {
        struct scheduler *scheduler;        /* immutable */
        struct loop *loop;                  /* likewise */
        struct arbiter_admission admission; /* its job and candidate are references */

        /* guarded by the scheduler's mutex */
        int no_room;            /* why nothing, or no purchase, is taken; 0: it is */
        unsigned policies;      /* the scheduler's, when the arbiter was asked */
        bool decided;           /* what follows is valid, and nothing changes any more */
        bool abandoned;         /* nobody waits: freed once it is decided */
        struct waiter *waiters; /* until it is decided */
        int error;              /* 0: it is in; else why not */
        const char *unwanted;   /* with -EACCES */
};

static void submission_free(struct submission *submission)
{
        purchase_unref(submission->admission.purchase);
        purchase_unref(submission->admission.candidate);
        job_unref(submission->admission.other);
        job_unref(submission->admission.job);
        free(submission);
}

/* ---- what the job becomes ---- */

static void count_saved_locked(struct client *client, enum job_source source)
{
        client->saved_cache += source == JOB_FROM_CACHE;
        client->saved_collapsed += source == JOB_FROM_COLLAPSED;
}

/* The purchase that the job is part of. */
static struct purchase *set_source_locked(const struct arbiter_admission *admission)
{
        switch (admission->decision) {
        case ARBITER_JOINED:
                admission->job->source = JOB_FROM_COLLAPSED;
                return admission->purchase;
        case ARBITER_CACHED:
                admission->job->source = JOB_FROM_CACHE;
                return admission->other->purchase;
        default:
                admission->job->source = JOB_FROM_UPSTREAM;
                return admission->candidate;
        }
}

/* Becomes part of what is there. */
static int enter_locked(struct submission *submission)
{
        struct scheduler *scheduler = submission->scheduler;
        const struct arbiter_admission *admission = &submission->admission;
        struct job *job = admission->job;

        job->flow = &admission->client->flow;
        job->purchase = purchase_ref(set_source_locked(admission));
        if (admission->decision != ARBITER_CACHED)
                job->state = job->purchase->state;
        int r = results_add(scheduler->setup.results, job);
        if (r < 0)
                return r;
        count_saved_locked(admission->client, job->source);
        if (admission->decision == ARBITER_CACHED) {
                entry_finish_now_locked(scheduler, job, admission->other->outcome);
                return 0;
        }
        entry_attach_locked(scheduler, job->purchase, job);
        if (admission->decision == ARBITER_OWN) {
                payment_reserved_locked(job->purchase, admission->client, admission->reserved_day);
                queue_add(&scheduler->queue, purchase_ref(job->purchase));
                job->purchase->joinable = true;
        }
        return 0;
}

/* What has changed since the arbiter was asked may forbid it. */
static int judge_again_locked(struct submission *submission)
{
        const struct scheduler *scheduler = submission->scheduler;
        const struct arbiter_admission *admission = &submission->admission;

        if (scheduler->draining || scheduler->drained)
                return scheduler->draining ? -ESHUTDOWN : -EBUSY;
        if (submission->policies == scheduler->policies)
                return 0;
        submission->unwanted =
                entry_why_unwanted_locked(scheduler, admission->client, admission->candidate->host);
        return submission->unwanted ? -EACCES : 0;
}

/* Lets it in, or takes the decision back. Whoever repeats the job, or was told to join its
 * purchase, finds that it did not come, and asks again. */
static int let_in_locked(struct submission *submission)
{
        int r = judge_again_locked(submission);

        if (r == 0)
                r = enter_locked(submission);
        if (r < 0)
                arbiter_undo_locked(submission->scheduler->setup.arbiter, &submission->admission);
        return r;
}

/* ---- asking ---- */

/* What answers for it has gone since that was decided, or has not come in. */
static bool has_gone_locked(const struct submission *submission)
{
        const struct arbiter_admission *admission = &submission->admission;

        if (admission->decision == ARBITER_JOINED)
                return !admission->purchase->joinable;
        return admission->decision == ARBITER_REPEATED &&
               !results_has(submission->scheduler->setup.results, admission->other);
}

static void ask_locked(struct submission *submission)
{
        struct scheduler *scheduler = submission->scheduler;
        struct arbiter_admission *admission = &submission->admission;

        submission->no_room = scheduler_check_alive_locked(scheduler, admission->client);
        admission->may_join = submission->no_room == 0;
        if (admission->may_join)
                submission->no_room = scheduler_check_room_locked(scheduler, admission->client);
        admission->may_buy = submission->no_room == 0;
        submission->policies = scheduler->policies;
        scheduler->admissions++;
        admission->client->asking++;
        arbiter_admit_locked(scheduler->setup.arbiter, admission);
}

static void ask_again_locked(struct submission *submission)
{
        struct arbiter_admission *admission = &submission->admission;

        if (admission->decision == ARBITER_JOINED)
                arbiter_undo_locked(submission->scheduler->setup.arbiter, admission);
        purchase_unref(admission->purchase);
        job_unref(admission->other);
        admission->purchase = NULL;
        admission->other = NULL;
        ask_locked(submission);
}

static int error_of_locked(struct submission *submission)
{
        switch (submission->admission.decision) {
        case ARBITER_OWN:
        case ARBITER_JOINED:
        case ARBITER_CACHED:
                return let_in_locked(submission);
        case ARBITER_REPEATED:
                return -EEXIST;
        case ARBITER_LIMITED:
                return -EDQUOT;
        case ARBITER_NO_ROOM:
                return submission->no_room;
        case ARBITER_NO_MEMORY:
                return -ENOMEM;
        case ARBITER_UNAVAILABLE:
                break;
        }
        return submission->scheduler->draining ? -ESHUTDOWN : -EIO;
}

static void abandon_locked(struct submission *submission)
{
        if (submission->error == 0)
                (void)entry_withdraw_locked(submission->scheduler, submission->loop,
                                            submission->admission.job);
        submission_free(submission);
}

static void on_decided_locked(struct arbiter_admission *admission)
{
        struct submission *submission =
                (struct submission *)((char *)admission - offsetof(struct submission, admission));
        struct scheduler *scheduler = submission->scheduler;

        scheduler->admissions--;
        admission->client->asking--;
        if (has_gone_locked(submission)) {
                ask_again_locked(submission);
                return;
        }
        submission->error = error_of_locked(submission);
        submission->decided = true;
        waiters_wake_locked(&submission->waiters, WAITER_FINAL);
        if (submission->abandoned)
                abandon_locked(submission);
        scheduler_tell_idle_locked(scheduler);
}

/* Moves what was decided to who asked. Returns -EINPROGRESS where nothing is. */
static int take_answer_locked(struct submission *submission, struct submission_result *ret_result)
{
        struct arbiter_admission *admission = &submission->admission;

        if (!submission->decided)
                return -EINPROGRESS;
        *ret_result = (struct submission_result){
                .job = job_ref(admission->job),
                .refused = admission->refused,
                .figures = admission->figures,
                .unwanted = submission->unwanted,
        };
        if (submission->error == -EEXIST) {
                ret_result->other = admission->other;
                admission->other = NULL;
        }
        return submission->error;
}

int submit_job(struct scheduler *scheduler, const struct submission_order *order,
               struct submission_result *ret_result, struct submission **ret_pending)
{
        struct submission *submission = calloc(1, sizeof *submission);

        if (!submission)
                return -ENOMEM;
        submission->scheduler = scheduler;
        submission->loop = order->loop;
        submission->admission = (struct arbiter_admission){
                .job = job_ref(order->job),
                .client = order->client,
                .candidate = purchase_ref(order->candidate),
                .fresh = order->fresh,
                .then_locked = on_decided_locked,
        };
        (void)pthread_mutex_lock(&scheduler->mutex);
        ask_locked(submission);
        int r = take_answer_locked(submission, ret_result);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (r == -EINPROGRESS)
                *ret_pending = submission;
        else
                submission_free(submission);
        return r;
}

/* ---- waiting for the answer ---- */

bool submission_wait(struct submission *submission, struct waiter *waiter)
{
        struct scheduler *scheduler = submission->scheduler;

        (void)pthread_mutex_lock(&scheduler->mutex);
        bool armed = !submission->decided;
        if (armed)
                waiters_add_locked(&submission->waiters, waiter);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return armed;
}

bool submission_unwait(struct submission *submission, struct waiter *waiter)
{
        struct scheduler *scheduler = submission->scheduler;

        (void)pthread_mutex_lock(&scheduler->mutex);
        bool removed = waiters_remove_locked(&submission->waiters, waiter);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return removed;
}

int submission_end(struct submission *submission, struct submission_result *ret_result)
{
        struct scheduler *scheduler = submission->scheduler;

        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = take_answer_locked(submission, ret_result);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (r != -EINPROGRESS)
                submission_free(submission);
        return r;
}

void submission_abandon(struct submission *submission)
{
        if (!submission)
                return;
        struct scheduler *scheduler = submission->scheduler;

        (void)pthread_mutex_lock(&scheduler->mutex);
        submission->abandoned = true;
        if (submission->decided)
                abandon_locked(submission);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
