/*
 * results: see results.h.
 */
#include "job/results.h"

#include "base/clock.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/retention.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SHARDS 16 /* a power of two */

/* So many go at most when one has become final, which may be one of many under one lock. If all are
 * of a size, what is over the limit shrinks so; a sweep does the rest. */
#define EVICTED_PER_FINISH 2

struct shard {
        pthread_mutex_t mutex;
        struct job *by_id; /* guarded by mutex */
        char padding[64];  /* keeps two shards' locks off one cache line */
};

struct results {
        struct results_setup setup; /* immutable, and its ceilings are those of the start */
        _Atomic int64_t ttl_ms;
        struct shard shards[SHARDS];

        pthread_mutex_t expiry_mutex;
        struct retention retention; /* guarded by expiry_mutex */
        int64_t freed_bytes;        /* likewise, see struct results_figures */
        int64_t paid_early;         /* likewise */
};

int results_new(const struct results_setup *setup, struct results **ret_results)
{
        struct results *results = calloc(1, sizeof *results);

        if (!results)
                return -ENOMEM;
        results->setup = *setup;
        results->ttl_ms = setup->ttl_ms;
        retention_init(&results->retention, setup->max_bytes);
        (void)pthread_mutex_init(&results->expiry_mutex, NULL);
        for (size_t i = 0; i < SHARDS; i++)
                (void)pthread_mutex_init(&results->shards[i].mutex, NULL);
        *ret_results = results;
        return 0;
}

void results_limit(struct results *results, int64_t ttl_ms, int64_t max_bytes)
{
        results->ttl_ms = ttl_ms;
        (void)pthread_mutex_lock(&results->expiry_mutex);
        results->retention.max_bytes = max_bytes;
        (void)pthread_mutex_unlock(&results->expiry_mutex);
}

/* The ids are random, so any character of them spreads evenly. */
static struct shard *shard_of(struct results *results, const char *id)
{
        return &results->shards[(unsigned char)id[JOB_ID_CHARS - 1] % SHARDS];
}

static bool expired(const struct results *results, const struct job *job)
{
        return job_state_final(job->state) &&
               job->finished_ms + results->ttl_ms <= clock_monotonic_ms();
}

/* ---- the table ---- */

static int add_id(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        HASH_ADD(by_id, shard->by_id, id, JOB_ID_CHARS, job);
        bool added = job->by_id.tbl != NULL;
        if (added)
                (void)job_ref(job);
        job->listed = added;
        (void)pthread_mutex_unlock(&shard->mutex);
        return added ? 0 : -ENOMEM;
}

/* Takes a job out of the table, and drops the results' reference. */
static void unlist(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        HASH_DELETE(by_id, shard->by_id, job);
        job->listed = false;
        (void)pthread_mutex_unlock(&shard->mutex);
        job_unref(job);
}

/* Prepares to count it; and ends that, before unlist(), which may free it. */
static int join(struct results *results, struct job *job)
{
        (void)pthread_mutex_lock(&results->expiry_mutex);
        int r = retention_join(&results->retention, job);
        (void)pthread_mutex_unlock(&results->expiry_mutex);
        return r;
}

static void leave(struct results *results, struct job *job)
{
        (void)pthread_mutex_lock(&results->expiry_mutex);
        if (job->share)
                retention_remove(&results->retention, job);
        else
                retention_leave(&results->retention, job);
        (void)pthread_mutex_unlock(&results->expiry_mutex);
}

void results_free(struct results *results)
{
        if (!results)
                return;
        for (size_t i = 0; i < SHARDS; i++) {
                struct job *job, *next;
                HASH_ITER (by_id, results->shards[i].by_id, job, next) {
                        leave(results, job);
                        unlist(results, job);
                }
                (void)pthread_mutex_destroy(&results->shards[i].mutex);
        }
        retention_done(&results->retention);
        (void)pthread_mutex_destroy(&results->expiry_mutex);
        free(results);
}

int results_add(struct results *results, struct job *job)
{
        int r = join(results, job);

        if (r < 0)
                return r;
        r = add_id(results, job);
        if (r < 0)
                leave(results, job);
        return r;
}

void results_remove(struct results *results, struct job *job)
{
        leave(results, job);
        unlist(results, job);
}

struct job *results_find(struct results *results, const char *id)
{
        struct job *job = NULL;

        if (strlen(id) != JOB_ID_CHARS)
                return NULL;
        struct shard *shard = shard_of(results, id);
        (void)pthread_mutex_lock(&shard->mutex);
        HASH_FIND(by_id, shard->by_id, id, JOB_ID_CHARS, job);
        if (job && expired(results, job))
                job = NULL;
        if (job)
                (void)job_ref(job);
        (void)pthread_mutex_unlock(&shard->mutex);
        return job;
}

bool results_has(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        bool has = job->listed;
        (void)pthread_mutex_unlock(&shard->mutex);
        return has;
}

bool results_has_expired(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        bool has_expired = expired(results, job);
        (void)pthread_mutex_unlock(&shard->mutex);
        return has_expired;
}

/* ---- final jobs ---- */

/* Takes jobs that have to go off the lists, and puts them onto *ret_gone. Returns how many. */
static size_t evict_locked(struct results *results, int64_t now_ms, size_t max,
                           struct job **ret_gone)
{
        struct retention *retention = &results->retention;
        int64_t before = retention_bytes(retention), over_ms = now_ms - results->ttl_ms;
        struct job *job;
        size_t count = 0;

        while (count < max && (job = retention_next(retention, over_ms))) {
                results->paid_early += retention_is_paid(job) && job->finished_ms > over_ms;
                retention_remove(retention, job);
                DL_APPEND2(*ret_gone, job, expiry_prev, expiry_next);
                count++;
        }
        results->freed_bytes += before - retention_bytes(retention);
        return count;
}

static void forget_all(struct results *results, struct job *gone)
{
        struct job *job, *next;

        if (gone && results->setup.forget)
                results->setup.forget(results->setup.arg, gone);
        DL_FOREACH_SAFE2 (gone, job, next, expiry_next)
                unlist(results, job);
}

/* Counts a job that has become final, and makes room for it. */
static void retire(struct results *results, struct job *job)
{
        struct job *gone = NULL;

        (void)pthread_mutex_lock(&results->expiry_mutex);
        retention_add(&results->retention, job);
        (void)evict_locked(results, clock_monotonic_ms(), EVICTED_PER_FINISH, &gone);
        (void)pthread_mutex_unlock(&results->expiry_mutex);
        forget_all(results, gone);
}

void results_move(struct results *results, struct job *job, enum job_state to)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        assert(job_state_may_become(job->state, to) && !job_state_final(to));
        job->state = to;
        if (to == JOB_ACCEPTED)
                waiters_wake_locked(&job->waiters, WAITER_FIRST_ANSWER);
        (void)pthread_mutex_unlock(&shard->mutex);
}

void results_finish(struct results *results, struct job *job, struct outcome *outcome,
                    int64_t finished_ms)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        assert(job->listed && job_state_may_become(job->state, outcome->state));
        job->outcome = outcome_ref(outcome);
        job->finished_ms = finished_ms;
        job->state = outcome->state;
        waiters_wake_locked(&job->waiters, WAITER_FINAL);
        (void)pthread_mutex_unlock(&shard->mutex);
        retire(results, job);
}

void results_nudge(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        waiters_wake_locked(&job->waiters, WAITER_FINAL);
        (void)pthread_mutex_unlock(&shard->mutex);
}

enum job_state results_state(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        enum job_state state = job->state;
        (void)pthread_mutex_unlock(&shard->mutex);
        return state;
}

static enum waiter_level level_of(enum job_state state)
{
        if (job_state_final(state))
                return WAITER_FINAL;
        return state == JOB_ACCEPTED ? WAITER_FIRST_ANSWER : WAITER_NOTHING;
}

bool results_wait(struct results *results, struct job *job, struct waiter *waiter)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        bool armed = level_of(job->state) < waiter->level;
        if (armed)
                waiters_add_locked(&job->waiters, waiter);
        (void)pthread_mutex_unlock(&shard->mutex);
        return armed;
}

bool results_unwait(struct results *results, struct job *job, struct waiter *waiter)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        bool removed = waiters_remove_locked(&job->waiters, waiter);
        (void)pthread_mutex_unlock(&shard->mutex);
        return removed;
}

bool results_sweep(struct results *results, int64_t now_ms)
{
        for (int batch = 0; batch < RESULTS_SWEEP / RESULTS_BATCH; batch++) {
                struct job *gone = NULL;
                (void)pthread_mutex_lock(&results->expiry_mutex);
                size_t count = evict_locked(results, now_ms, RESULTS_BATCH, &gone);
                (void)pthread_mutex_unlock(&results->expiry_mutex);
                forget_all(results, gone);
                if (count < RESULTS_BATCH)
                        return false;
        }
        return true;
}

void results_read(struct results *results, struct results_figures *ret_figures)
{
        (void)pthread_mutex_lock(&results->expiry_mutex);
        *ret_figures = (struct results_figures){
                .bytes = retention_bytes(&results->retention),
                .freed_bytes = results->freed_bytes,
                .paid_early = results->paid_early,
        };
        (void)pthread_mutex_unlock(&results->expiry_mutex);
}
