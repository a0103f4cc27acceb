/*
 * job: see job.h.
 */
#include "job/job.h"

#include "base/clock.h"
#include "base/random.h"
#include "job/outcome.h"
#include "job/purchase.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *job_source_name(enum job_source source)
{
        static const char *const names[] = {
                [JOB_FROM_UPSTREAM] = "upstream",
                [JOB_FROM_COLLAPSED] = "collapsed",
                [JOB_FROM_CACHE] = "cache",
        };

        return names[source];
}

#define FAR_MS (INT64_C(1) << 60) /* millions of years; the difference of two such times fits */

static int64_t clamp(int64_t time_ms)
{
        if (time_ms > FAR_MS)
                return FAR_MS;
        return time_ms < -FAR_MS ? -FAR_MS : time_ms;
}

int64_t job_wall_of(int64_t monotonic_ms)
{
        return clock_wall_ms() + (monotonic_ms - clock_monotonic_ms());
}

int64_t job_clock_offset(void)
{
        return clock_monotonic_ms() - clock_wall_ms();
}

int64_t job_monotonic_of(int64_t wall_ms)
{
        return clamp(clamp(wall_ms) + job_clock_offset());
}

static int set_id(struct job *job, const char *id)
{
        if (!id) {
                memcpy(job->id, "h-", 2);
                random_token(job->id + 2, JOB_ID_CHARS - 2);
                return 0;
        }
        if (strlen(id) != JOB_ID_CHARS)
                return -EINVAL;
        memcpy(job->id, id, JOB_ID_CHARS + 1);
        return 0;
}

/* One block for both, so that client and key together are one key of a table. */
static int set_owner(struct job *job, const struct job_parts *parts)
{
        size_t client_bytes = strlen(parts->client) + 1;
        size_t key_bytes = parts->key ? strlen(parts->key) + 1 : 0;

        job->client = malloc(client_bytes + key_bytes);
        if (!job->client)
                return -ENOMEM;
        memcpy(job->client, parts->client, client_bytes);
        if (parts->key) {
                job->key = job->client + client_bytes;
                memcpy(job->key, parts->key, key_bytes);
                memcpy(job->key_digest, parts->key_digest, JOB_DIGEST_BYTES);
        }
        return 0;
}

int job_new(const struct job_parts *parts, struct job **ret_job)
{
        struct job *job = calloc(1, sizeof *job);

        if (!job)
                return -ENOMEM;
        atomic_init(&job->references, 1);
        int r = set_owner(job, parts);
        if (r == 0)
                r = set_id(job, parts->id);
        if (r == 0) {
                job->target_json = strdup(parts->target_json);
                r = job->target_json ? 0 : -ENOMEM;
        }
        if (r < 0) {
                job_unref(job);
                return r;
        }
        (void)snprintf(job->address, sizeof job->address, "%s",
                       parts->address ? parts->address : "");
        job->created_wall_ms = parts->created_wall_ms;
        int64_t offset_ms = parts->offset_ms ? *parts->offset_ms : job_clock_offset();
        job->created_ms = clamp(clamp(parts->created_wall_ms) + offset_ms);
        job->deadline_ms = clamp(clamp(parts->deadline_wall_ms) + offset_ms);
        job->state = JOB_QUEUED;
        *ret_job = job;
        return 0;
}

struct job *job_ref(struct job *job)
{
        (void)atomic_fetch_add_explicit(&job->references, 1, memory_order_relaxed);
        return job;
}

void job_unref(struct job *job)
{
        if (!job || atomic_fetch_sub_explicit(&job->references, 1, memory_order_acq_rel) != 1)
                return;
        assert(!job->waiters && !job->keep_waiters && !job->listed && !job->attached &&
               !job->by_arrival.in_heap);
        outcome_unref(job->outcome);
        purchase_unref(job->purchase);
        free(job->client);
        free(job->target_json);
        free(job);
}
