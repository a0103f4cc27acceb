/*
 * arbiter_local: see arbiter_local.h.
 */
#include "dispatch/arbiter_local.h"

#include "access/clients.h"
#include "base/clock.h"
#include "dispatch/arbiter.h"
#include "job/job.h"
#include "job/purchase.h"
#include "job/results.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct arbiter_local {
        struct arbiter arbiter;  /* first */
        struct results *results; /* immutable */
        struct turns turns;      /* guarded by the scheduler's mutex */
        struct purchase *open;   /* by identity, what can be joined; likewise */
        pthread_mutex_t mutex;   /* guards what follows; nothing else is locked meanwhile */
        struct job *keyed;       /* by client and key */
        struct job *solved;      /* by identity, what answers for it */
};

static struct arbiter_local *local_of(struct arbiter *arbiter)
{
        return (struct arbiter_local *)arbiter;
}

static void lock(struct arbiter_local *arbiter_local)
{
        (void)pthread_mutex_lock(&arbiter_local->mutex);
}

static void unlock(struct arbiter_local *arbiter_local)
{
        (void)pthread_mutex_unlock(&arbiter_local->mutex);
}

/* ---- keys ---- */

/* Client and key, which lie behind each other. */
static size_t key_bytes(const struct job *job)
{
        return (size_t)(job->key - job->client) + strlen(job->key);
}

/* Finds the job with the same owner and key. It may be taken as long as the lock is held. */
static struct job *find_key_locked(const struct arbiter_local *local, const struct job *job)
{
        struct job *other = NULL;

        HASH_FIND(by_key, local->keyed, job->client, key_bytes(job), other);
        return other;
}

static void drop_key_locked(struct arbiter_local *local, struct job *job)
{
        if (job->keyed)
                HASH_DELETE(by_key, local->keyed, job);
        job->keyed = false;
}

static void local_drop_key(struct arbiter_local *local, struct job *job)
{
        lock(local);
        drop_key_locked(local, job);
        unlock(local);
}

static int local_claim_key(struct arbiter *arbiter, struct job *job, struct job **ret_other)
{
        struct arbiter_local *local = local_of(arbiter);
        int r = 0;

        if (!job->key)
                return 0;
        lock(local);
        struct job *other = find_key_locked(local, job);
        if (other) {
                *ret_other = job_ref(other);
                r = -EEXIST;
        } else {
                HASH_ADD_KEYPTR(by_key, local->keyed, job->client, key_bytes(job), job);
                job->keyed = job->by_key.tbl != NULL; /* NULL: no memory (HASH_NONFATAL_OOM) */
                r = job->keyed ? 0 : -ENOMEM;
        }
        unlock(local);
        return r;
}

static void local_release_key(struct arbiter *arbiter, struct job *job)
{
        local_drop_key(local_of(arbiter), job);
}

/* Finds the older job with the key; a reference, or NULL. */
static struct job *find_keyed(struct arbiter_local *local, const struct job *job)
{
        if (!job->key)
                return NULL;
        lock(local);
        struct job *other = find_key_locked(local, job);
        if (other)
                (void)job_ref(other);
        unlock(local);
        if (other && results_has_expired(local->results, other)) { /* and its key with it */
                local_drop_key(local, other);
                job_unref(other);
                other = NULL;
        }
        return other;
}

/* ---- identities ---- */

static void drop_solved_locked(struct arbiter_local *local, struct job *job)
{
        if (job->cached)
                HASH_DELETE(by_identity, local->solved, job);
        job->cached = false;
}

static void local_solved(struct arbiter *arbiter, struct job *job)
{
        struct arbiter_local *local = local_of(arbiter);
        const struct task_identity *identity = &job->purchase->identity;
        struct job *older = NULL;

        lock(local);
        HASH_FIND(by_identity, local->solved, identity, sizeof *identity, older);
        if (older)
                drop_solved_locked(local, older);
        HASH_ADD_KEYPTR(by_identity, local->solved, identity, sizeof *identity, job);
        job->cached = job->by_identity.tbl != NULL; /* without memory the next one pays */
        unlock(local);
}

/* Finds the job that was solved for an identity; a reference, or NULL. */
static struct job *find_solved(struct arbiter_local *local, const struct task_identity *identity)
{
        struct job *job = NULL;

        lock(local);
        HASH_FIND(by_identity, local->solved, identity, sizeof *identity, job);
        if (job)
                (void)job_ref(job);
        unlock(local);
        if (job && results_has_expired(local->results, job)) {
                job_unref(job);
                job = NULL;
        }
        return job;
}

static void local_forget(struct arbiter *arbiter, struct job *job)
{
        struct arbiter_local *local = local_of(arbiter);

        lock(local);
        drop_key_locked(local, job);
        drop_solved_locked(local, job);
        unlock(local);
}

static struct purchase *find_open(const struct arbiter_local *local,
                                  const struct task_identity *identity)
{
        struct purchase *purchase = NULL;

        HASH_FIND(by_identity, local->open, identity, sizeof *identity, purchase);
        return purchase;
}

static void local_close(struct arbiter *arbiter, struct purchase *purchase)
{
        struct arbiter_local *local = local_of(arbiter);

        if (purchase->listed)
                HASH_DELETE(by_identity, local->open, purchase);
        purchase->listed = false;
}

static void local_open(struct arbiter *arbiter, struct purchase *purchase)
{
        struct arbiter_local *local = local_of(arbiter);
        struct purchase *older = find_open(local, &purchase->identity);

        if (older)
                local_close(arbiter, older);
        HASH_ADD(by_identity, local->open, identity, sizeof purchase->identity, purchase);
        purchase->listed = purchase->by_identity.tbl != NULL; /* NULL: no memory */
}

/* ---- admission ---- */

/* A job that makes a purchase reserves a charge. Every job takes a token of the client's rate: one
 * that is free has an ID and a result of its own all the same, which take memory. */
static enum quota_verdict take_quota(struct arbiter_admission *admission, bool buys)
{
        struct quota *quota = &admission->client->quota;
        const struct quota_time now = quota_now();

        admission->reserved_day = clock_day_of(now.wall_ms);
        if (!buys)
                return admission->counted ? QUOTA_OK : quota_take(quota, now);
        return admission->counted ? quota_reserve_again(quota, now) : quota_reserve(quota, now);
}

/* Finds what answers for the identity. */
static enum arbiter_decision find_answer(struct arbiter_local *local,
                                         struct arbiter_admission *admission)
{
        const struct task_identity *identity = &admission->candidate->identity;

        if (admission->fresh)
                return ARBITER_OWN;
        admission->purchase = find_open(local, identity);
        if (admission->purchase) {
                (void)purchase_ref(admission->purchase);
                return ARBITER_JOINED;
        }
        admission->other = find_solved(local, identity);
        return admission->other ? ARBITER_CACHED : ARBITER_OWN;
}

/* The job has what it is admitted for, or nothing is changed. */
static enum arbiter_decision take(struct arbiter_local *local, struct arbiter_admission *admission,
                                  enum arbiter_decision decision)
{
        struct quota *quota = &admission->client->quota;
        struct job *other = NULL;

        if (decision == ARBITER_OWN && !admission->may_buy)
                return ARBITER_NO_ROOM;
        admission->refused = take_quota(admission, decision == ARBITER_OWN);
        if (admission->refused != QUOTA_OK)
                return ARBITER_LIMITED;
        admission->counted = true;
        if (local_claim_key(&local->arbiter, admission->job, &other) < 0) {
                if (decision == ARBITER_OWN)
                        quota_release(quota, admission->reserved_day);
                return ARBITER_NO_MEMORY;
        }
        if (decision == ARBITER_OWN)
                local_open(&local->arbiter, admission->candidate);
        return decision;
}

/* A repeat makes nothing, so nothing that is full, used up or refused upstream refuses it. */
static enum arbiter_decision decide(struct arbiter_local *local,
                                    struct arbiter_admission *admission)
{
        admission->purchase = NULL;
        admission->other = find_keyed(local, admission->job);
        if (admission->other)
                return ARBITER_REPEATED;
        if (!admission->may_join)
                return ARBITER_NO_ROOM;
        enum arbiter_decision decision = take(local, admission, find_answer(local, admission));
        if (decision > ARBITER_CACHED) {
                purchase_unref(admission->purchase);
                job_unref(admission->other);
                admission->purchase = NULL;
                admission->other = NULL;
        }
        quota_read(&admission->client->quota, quota_now(), &admission->figures);
        return decision;
}

static void local_admit(struct arbiter *arbiter, struct arbiter_admission *admission)
{
        admission->decision = decide(local_of(arbiter), admission);
        admission->then_locked(admission);
}

static void local_undo(struct arbiter *arbiter, const struct arbiter_admission *admission)
{
        local_drop_key(local_of(arbiter), admission->job);
        if (admission->decision != ARBITER_OWN)
                return;
        local_close(arbiter, admission->candidate);
        quota_release(&admission->client->quota, admission->reserved_day);
}

/* ---- charges ---- */

static int local_reserve(struct arbiter *arbiter, struct client *client, int64_t *ret_day)
{
        const struct quota_time now = quota_now();

        (void)arbiter;
        if (quota_reserve_again(&client->quota, now) != QUOTA_OK)
                return -EDQUOT;
        *ret_day = clock_day_of(now.wall_ms);
        return 0;
}

static void local_settle(struct arbiter *arbiter, struct client *client, int64_t day)
{
        (void)arbiter;
        quota_settle(&client->quota, day);
}

static void local_release(struct arbiter *arbiter, struct client *client, int64_t day)
{
        (void)arbiter;
        quota_release(&client->quota, day);
}

/* ---- turns ---- */

static struct queue_flow *flow_of(struct turns_share *share)
{
        return (struct queue_flow *)((char *)share - offsetof(struct queue_flow, turns));
}

static void local_wants(struct arbiter *arbiter, struct queue_flow *flow, bool wants)
{
        struct turns *turns = &local_of(arbiter)->turns;

        if (wants)
                turns_want(turns, &flow->turns);
        else
                turns_want_nothing(turns, &flow->turns);
}

static bool may(void *arg, struct turns_share *share)
{
        struct arbiter_turn *turn = arg;

        return turn->may_locked(turn, flow_of(share));
}

static void local_turn(struct arbiter *arbiter, struct arbiter_turn *turn)
{
        struct turns *turns = &local_of(arbiter)->turns;

        if (turn->only) {
                turn->flow = turns_take_for(turns, &turn->only->turns) ? turn->only : NULL;
        } else {
                struct turns_share *share = turns_take(turns, may, turn);
                turn->flow = share ? flow_of(share) : NULL;
        }
        turn->then_locked(turn);
}

static void local_turn_resumed(struct arbiter *arbiter, struct queue_flow *flow,
                               const struct account *account)
{
        (void)arbiter;
        (void)account;
        flow->turns.in_flight++;
}

static void local_turn_over(struct arbiter *arbiter, struct queue_flow *flow,
                            const struct account *account)
{
        (void)account;
        turns_over(&local_of(arbiter)->turns, &flow->turns);
}

static void local_turn_unused(struct arbiter *arbiter, struct queue_flow *flow)
{
        turns_give_back(&local_of(arbiter)->turns, &flow->turns);
}

static void local_limits_changed(struct arbiter *arbiter)
{
        turns_limits_changed(&local_of(arbiter)->turns);
}

/* ---- life ---- */

static void local_give_up(struct arbiter *arbiter)
{
        (void)arbiter; /* nothing waits here */
}

static void local_close_threads(struct arbiter *arbiter)
{
        (void)arbiter; /* it has none */
}

static void local_free(struct arbiter *arbiter)
{
        struct arbiter_local *local = local_of(arbiter);

        HASH_CLEAR(by_identity, local->open);
        HASH_CLEAR(by_key, local->keyed);
        HASH_CLEAR(by_identity, local->solved);
        (void)pthread_mutex_destroy(&local->mutex);
        free(local);
}

int arbiter_local_new(struct results *results, struct arbiter **ret_arbiter)
{
        static const struct arbiter_backend backend = {
                .admit = local_admit,
                .undo = local_undo,
                .reserve = local_reserve,
                .settle = local_settle,
                .release = local_release,
                .open_purchase = local_open,
                .close_purchase = local_close,
                .solved = local_solved,
                .claim_key = local_claim_key,
                .release_key = local_release_key,
                .forget = local_forget,
                .wants = local_wants,
                .turn = local_turn,
                .turn_resumed = local_turn_resumed,
                .turn_over = local_turn_over,
                .turn_unused = local_turn_unused,
                .limits_changed = local_limits_changed,
                .give_up = local_give_up,
                .close = local_close_threads,
                .free = local_free,
        };
        struct arbiter_local *local = calloc(1, sizeof *local);

        if (!local)
                return -ENOMEM;
        local->arbiter.backend = &backend;
        local->results = results;
        (void)pthread_mutex_init(&local->mutex, NULL);
        *ret_arbiter = &local->arbiter;
        return 0;
}
