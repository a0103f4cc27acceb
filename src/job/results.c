/*
 * results: see results.h.
 */
#include "job/results.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SHARDS 16 /* a power of two */

struct shard {
        pthread_mutex_t mutex;
        struct job *by_id;  /* guarded by mutex */
        struct job *expiry; /* guarded by mutex: final jobs, the first to expire at the head */
        int64_t bytes;      /* guarded by mutex: of the final jobs */
        char padding[64];   /* keeps two shards' locks off one cache line */
};

struct results {
        int64_t ttl_ms;
        int64_t shard_max_bytes;
        struct shard shards[SHARDS];
};

int results_new(int64_t ttl_ms, int64_t max_bytes, struct results **ret_results)
{
        struct results *results = calloc(1, sizeof *results);

        if (!results)
                return -ENOMEM;
        results->ttl_ms = ttl_ms;
        results->shard_max_bytes = max_bytes / SHARDS;
        for (size_t i = 0; i < SHARDS; i++)
                (void)pthread_mutex_init(&results->shards[i].mutex, NULL);
        *ret_results = results;
        return 0;
}

/* The ids are random, so any character of them spreads evenly. */
static struct shard *shard_of(struct results *results, const char *id)
{
        return &results->shards[(unsigned char)id[JOB_ID_CHARS - 1] % SHARDS];
}

/* Takes a job out of the shard; the caller then drops the results' reference. */
static void unlist_locked(struct shard *shard, struct job *job)
{
        HASH_DELETE(by_id, shard->by_id, job);
        job->listed = false;
        if (job_state_final(job->state)) {
                DL_DELETE2(shard->expiry, job, expiry_prev, expiry_next);
                shard->bytes -= (int64_t)job->counted_bytes;
        }
}

void results_free(struct results *results)
{
        if (!results)
                return;
        for (size_t i = 0; i < SHARDS; i++) {
                struct shard *shard = &results->shards[i];
                struct job *job, *next;
                HASH_ITER (by_id, shard->by_id, job, next) {
                        unlist_locked(shard, job);
                        job_unref(job);
                }
                (void)pthread_mutex_destroy(&shard->mutex);
        }
        free(results);
}

int results_add(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        HASH_ADD(by_id, shard->by_id, id, JOB_ID_CHARS, job);
        bool added = job->by_id.tbl != NULL; /* NULL: no memory (HASH_NONFATAL_OOM) */
        if (added)
                (void)job_ref(job);
        job->listed = added;
        (void)pthread_mutex_unlock(&shard->mutex);
        return added ? 0 : -ENOMEM;
}

void results_remove(struct results *results, struct job *job)
{
        struct shard *shard = shard_of(results, job->id);

        (void)pthread_mutex_lock(&shard->mutex);
        assert(job->listed && job->state == JOB_QUEUED && !job->waiters);
        unlist_locked(shard, job);
        (void)pthread_mutex_unlock(&shard->mutex);
        job_unref(job);
}

struct job *results_find(struct results *results, const char *id)
{
        struct job *job = NULL;

        if (strlen(id) != JOB_ID_CHARS)
                return NULL;
        struct shard *shard = shard_of(results, id);
        (void)pthread_mutex_lock(&shard->mutex);
        HASH_FIND(by_id, shard->by_id, id, JOB_ID_CHARS, job);
        if (job && job_state_final(job->state) && job->expires_ms <= clock_monotonic_ms())
                job = NULL;
        if (job)
                (void)job_ref(job);
        (void)pthread_mutex_unlock(&shard->mutex);
        return job;
}

static size_t job_bytes(const struct job *job)
{
        const struct job_outcome *outcome = &job->outcome;
        size_t bytes = sizeof *job + strlen(job->target_json) + strlen(job->host) + 2;

        bytes += outcome->members_len;
        if (outcome->message)
                bytes += strlen(outcome->message);
        return bytes;
}

/* Takes the oldest final jobs out while they are too old or too big, onto *ret_gone. */
static void evict_locked(struct results *results, struct shard *shard, int64_t now_ms,
                         struct job **ret_gone)
{
        while (shard->expiry &&
               (shard->expiry->expires_ms <= now_ms || shard->bytes > results->shard_max_bytes)) {
                struct job *job = shard->expiry;
                unlist_locked(shard, job);
                DL_APPEND2(*ret_gone, job, expiry_prev, expiry_next);
        }
}

/* Freeing takes time, so it is done without the lock. */
static void unref_all(struct job *gone)
{
        struct job *job, *next;

        DL_FOREACH_SAFE2(gone, job, next, expiry_next)
        {
                job_unref(job);
        }
}

static void finish_locked(struct results *results, struct shard *shard, struct job *job,
                          struct job_outcome *outcome, struct job **ret_gone)
{
        int64_t now_ms = clock_monotonic_ms();

        job->outcome = *outcome;
        *outcome = (struct job_outcome){0};
        if (!job->listed)
                return;
        job->expires_ms = now_ms + results->ttl_ms;
        job->counted_bytes = job_bytes(job);
        shard->bytes += (int64_t)job->counted_bytes;
        DL_APPEND2(shard->expiry, job, expiry_prev, expiry_next);
        evict_locked(results, shard, now_ms, ret_gone);
}

void results_move(struct results *results, struct job *job, enum job_state to,
                  struct job_outcome *outcome)
{
        struct shard *shard = shard_of(results, job->id);
        struct job *gone = NULL;

        (void)pthread_mutex_lock(&shard->mutex);
        assert(job_state_may_become(job->state, to));
        job->state = to;
        if (job_state_final(to)) {
                finish_locked(results, shard, job, outcome, &gone);
                waiters_wake_locked(&job->waiters, WAITER_FINAL);
        } else if (to == JOB_ACCEPTED) {
                waiters_wake_locked(&job->waiters, WAITER_FIRST_ANSWER);
        }
        (void)pthread_mutex_unlock(&shard->mutex);
        unref_all(gone);
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

void results_sweep(struct results *results, int64_t now_ms)
{
        for (size_t i = 0; i < SHARDS; i++) {
                struct shard *shard = &results->shards[i];
                struct job *gone = NULL;
                (void)pthread_mutex_lock(&shard->mutex);
                evict_locked(results, shard, now_ms, &gone);
                (void)pthread_mutex_unlock(&shard->mutex);
                unref_all(gone);
        }
}
