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
        struct job *by_id; /* guarded by mutex */
        char padding[64];  /* keeps two shards' locks off one cache line */
};

struct results {
        int64_t ttl_ms;
        int64_t max_bytes;
        struct shard shards[SHARDS];

        pthread_mutex_t expiry_mutex; /* never held together with a shard's */
        struct job *expiry; /* guarded by it: final jobs, the first to expire at the head */
        int64_t bytes;      /* guarded by it: what they take */
};

int results_new(int64_t ttl_ms, int64_t max_bytes, struct results **ret_results)
{
        struct results *results = calloc(1, sizeof *results);

        if (!results)
                return -ENOMEM;
        results->ttl_ms = ttl_ms;
        results->max_bytes = max_bytes;
        (void)pthread_mutex_init(&results->expiry_mutex, NULL);
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

/* Takes a job out of its shard; the caller then drops the results' reference. */
static void unlist_locked(struct shard *shard, struct job *job)
{
        HASH_DELETE(by_id, shard->by_id, job);
        job->listed = false;
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
        (void)pthread_mutex_destroy(&results->expiry_mutex);
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

/* Takes the oldest final jobs off the list while they are too old or too big, onto *ret_gone. */
static void evict_locked(struct results *results, int64_t now_ms, struct job **ret_gone)
{
        while (results->expiry &&
               (results->expiry->expires_ms <= now_ms || results->bytes > results->max_bytes)) {
                struct job *job = results->expiry;
                DL_DELETE2(results->expiry, job, expiry_prev, expiry_next);
                results->bytes -= (int64_t)job->counted_bytes;
                DL_APPEND2(*ret_gone, job, expiry_prev, expiry_next);
        }
}

static void forget_all(struct results *results, struct job *gone)
{
        struct job *job, *next;

        DL_FOREACH_SAFE2(gone, job, next, expiry_next)
        {
                struct shard *shard = shard_of(results, job->id);
                (void)pthread_mutex_lock(&shard->mutex);
                unlist_locked(shard, job);
                (void)pthread_mutex_unlock(&shard->mutex);
                job_unref(job);
        }
}

/* Puts a job that has become final at the end of the list, which makes room for it. */
static void retire(struct results *results, struct job *job)
{
        struct job *gone = NULL;

        (void)pthread_mutex_lock(&results->expiry_mutex);
        DL_APPEND2(results->expiry, job, expiry_prev, expiry_next);
        results->bytes += (int64_t)job->counted_bytes;
        evict_locked(results, clock_monotonic_ms(), &gone);
        (void)pthread_mutex_unlock(&results->expiry_mutex);
        forget_all(results, gone);
}

static void finish_locked(struct results *results, struct job *job, struct job_outcome *outcome)
{
        assert(job->listed);
        job->outcome = *outcome;
        *outcome = (struct job_outcome){0};
        job->expires_ms = clock_monotonic_ms() + results->ttl_ms;
        job->counted_bytes = job_bytes(job);
        waiters_wake_locked(&job->waiters, WAITER_FINAL);
}

void results_move(struct results *results, struct job *job, enum job_state to,
                  struct job_outcome *outcome)
{
        struct shard *shard = shard_of(results, job->id);
        bool final = job_state_final(to);

        (void)pthread_mutex_lock(&shard->mutex);
        assert(job_state_may_become(job->state, to));
        job->state = to;
        if (final)
                finish_locked(results, job, outcome);
        else if (to == JOB_ACCEPTED)
                waiters_wake_locked(&job->waiters, WAITER_FIRST_ANSWER);
        (void)pthread_mutex_unlock(&shard->mutex);
        if (final)
                retire(results, job);
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
        struct job *gone = NULL;

        (void)pthread_mutex_lock(&results->expiry_mutex);
        evict_locked(results, now_ms, &gone);
        (void)pthread_mutex_unlock(&results->expiry_mutex);
        forget_all(results, gone);
}
