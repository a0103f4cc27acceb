/*
 * vendor: see vendor.h.
 */
#include "sim/vendor.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/strbuf.h"
#include "sim/counters.h"
#include "sim/rng.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define DAILY_LIMIT 20000
#define PLAN_LIMIT  1000000

enum job_state {
        JOB_WORKING, /* on the list of working jobs; solved once due_ms has passed */
        JOB_SOLVED,
        JOB_SKIPPED,
};

struct job {
        char id[SIM_ID_BYTES];
        enum job_state state;
        struct sim_body body;
        int64_t created_s; /* wall time */
        int64_t accepted_ms;
        int64_t due_ms;
        struct job *prev, *next; /* in the list of working jobs */
        UT_hash_handle hh;
};

struct sim_vendor {
        struct sim_vendor_plan plan; /* constant */
        struct sim_counters *counters;
        pthread_mutex_t mutex;
        struct sim_rng rng;   /* guarded by mutex */
        struct job *jobs;     /* by id, oldest first; guarded by mutex */
        struct job *working;  /* guarded by mutex */
        unsigned working_now; /* guarded by mutex */
};

int sim_vendor_new(const struct sim_vendor_plan *plan, struct sim_counters *counters,
                   struct sim_vendor **ret_vendor)
{
        struct sim_vendor *vendor = calloc(1, sizeof *vendor);

        if (!vendor)
                return -ENOMEM;
        vendor->plan = *plan;
        vendor->counters = counters;
        vendor->rng.state = plan->seed;
        (void)pthread_mutex_init(&vendor->mutex, NULL);
        *ret_vendor = vendor;
        return 0;
}

static void finish_locked(struct sim_vendor *vendor, struct job *job, enum job_state state)
{
        if (job->state == JOB_WORKING) {
                DL_DELETE(vendor->working, job);
                vendor->working_now--;
                sim_counters_lower(vendor->counters, SIM_GAUGE_IN_FLIGHT);
                if (state == JOB_SOLVED)
                        sim_counters_add(vendor->counters, SIM_COUNTER_SOLVED, 1);
        }
        job->state = state;
}

static void settle_locked(struct sim_vendor *vendor, int64_t now_ms)
{
        struct job *job, *following;

        DL_FOREACH_SAFE (vendor->working, job, following)
                if (job->due_ms <= now_ms)
                        finish_locked(vendor, job, JOB_SOLVED);
}

static void forget_locked(struct sim_vendor *vendor, struct job *job)
{
        finish_locked(vendor, job, JOB_SKIPPED);
        HASH_DEL(vendor->jobs, job);
        sim_body_done(&job->body);
        free(job);
}

void sim_vendor_free(struct sim_vendor *vendor)
{
        if (!vendor)
                return;
        while (vendor->jobs)
                forget_locked(vendor, vendor->jobs);
        (void)pthread_mutex_destroy(&vendor->mutex);
        free(vendor);
}

bool sim_vendor_is_pro(const struct sim_vendor *vendor)
{
        return vendor->plan.pro;
}

const char *sim_vendor_base_url(const struct sim_vendor *vendor)
{
        return vendor->plan.base_url;
}

bool sim_vendor_admits(const struct sim_vendor *vendor, const char *uid, const char *apikey)
{
        const struct sim_vendor_plan *plan = &vendor->plan;

        if (plan->apikey && (!apikey || strcmp(apikey, plan->apikey) != 0))
                return false;
        if (plan->api == 1 && plan->uid && (!uid || strcmp(uid, plan->uid) != 0))
                return false;
        return true;
}

static int64_t pick_latency_locked(struct sim_vendor *vendor)
{
        double jitter = (double)vendor->plan.jitter_ms * sim_rng_signed_unit(&vendor->rng);
        int64_t latency_ms = vendor->plan.latency_ms + (int64_t)jitter;

        return latency_ms > 0 ? latency_ms : 0;
}

static int accept_locked(struct sim_vendor *vendor, struct job *job)
{
        job->accepted_ms = clock_monotonic_ms();
        settle_locked(vendor, job->accepted_ms);
        if (vendor->plan.concurrency > 0 && vendor->working_now >= vendor->plan.concurrency)
                return -EAGAIN;
        if (HASH_COUNT(vendor->jobs) >= SIM_JOBS_MAX)
                forget_locked(vendor, vendor->jobs);
        job->due_ms = job->accepted_ms + pick_latency_locked(vendor);
        memcpy(job->id, "h-", 2);
        sim_rng_letters(&vendor->rng, job->id + 2, SIM_ID_BYTES - 3);
        HASH_ADD_STR(vendor->jobs, id, job);
        DL_APPEND(vendor->working, job);
        vendor->working_now++;
        sim_counters_raise(vendor->counters, SIM_GAUGE_IN_FLIGHT);
        sim_counters_add(vendor->counters, SIM_COUNTER_ACCEPTED, 1);
        sim_counters_add(vendor->counters, SIM_COUNTER_CHARGED, 1);
        return 0;
}

int sim_vendor_accept(struct sim_vendor *vendor, struct sim_body *body,
                      char ret_id[static SIM_ID_BYTES], int64_t *ret_due_ms)
{
        struct job *job = calloc(1, sizeof *job);

        if (!job)
                return -ENOMEM;
        job->state = JOB_WORKING;
        job->created_s = clock_wall_ms() / 1000;
        job->body = *body;
        (void)pthread_mutex_lock(&vendor->mutex);
        int r = accept_locked(vendor, job);
        if (r == 0) {
                memcpy(ret_id, job->id, SIM_ID_BYTES);
                *ret_due_ms = job->due_ms;
                *body = (struct sim_body){.target_json = NULL};
        }
        (void)pthread_mutex_unlock(&vendor->mutex);
        if (r < 0)
                free(job);
        return r;
}

static void write_url(const struct sim_vendor *vendor, const struct job *job, struct strbuf *out)
{
        (void)strbuf_printf(out, "\"url\":\"%s%s/status?id=%s\"", vendor->plan.base_url,
                            vendor->plan.api == 1 ? "/api" : "", job->id);
}

static void write_queued(const struct sim_vendor *vendor, const struct job *job, bool named,
                         struct strbuf *out)
{
        if (vendor->plan.api == 1)
                (void)strbuf_printf(out, "{\"createdat\":%" PRId64 ",", job->created_s);
        else
                (void)strbuf_puts(out, "{\"answer\":[],");
        if (named)
                (void)strbuf_printf(out, "\"id\":\"%s\",", job->id);
        if (vendor->plan.api == 2)
                (void)strbuf_puts(out, "\"processing_time\":\"0.0s\",\"solution\":[],");
        (void)strbuf_printf(out, "\"status\":\"new\",\"target\":%s", job->body.target_json);
        if (named) {
                (void)strbuf_puts(out, ",");
                write_url(vendor, job, out);
        }
        (void)strbuf_puts(out, "}");
}

/* The members of a solved answer, without its braces. */
static void write_solved(const struct sim_vendor *vendor, const struct job *job, struct strbuf *out)
{
        double seconds = (double)(job->due_ms - job->accepted_ms) / 1000;

        if (vendor->plan.api == 2)
                (void)strbuf_printf(out, "\"answer\":[],\"id\":\"%s\",\"message\":\"\",", job->id);
        (void)strbuf_printf(out, "\"processing_time\":\"%.2fs\",\"solution\":%s,", seconds,
                            job->body.solution_json);
        (void)strbuf_puts(out, "\"status\":\"solved\",");
        if (vendor->plan.api == 2) {
                (void)strbuf_printf(out, "\"target\":%s,", job->body.target_json);
                write_url(vendor, job, out);
                (void)strbuf_puts(out, ",");
        }
        /* 1.50 comes out as 1.5 or 1.500000 of a reader that writes the answer anew. */
        (void)strbuf_printf(out, "\"sim_digest\":\"%s\",\"sim_number\":1.50", job->body.digest);
}

static void write_duplicate(const struct sim_vendor *vendor, const struct job *job,
                            struct strbuf *out)
{
        /* A solved answer of generation 2 names the job and its url once itself. */
        int missing = vendor->plan.api == 1 ? 2 : 1;

        (void)strbuf_puts(out, "{");
        for (int i = 0; i < missing; i++) {
                (void)strbuf_printf(out, "\"id\":\"%s\",", job->id);
                write_url(vendor, job, out);
                (void)strbuf_puts(out, ",");
        }
        (void)strbuf_puts(out, "\"status\":\"solved\",");
        write_solved(vendor, job, out);
        (void)strbuf_puts(out, "}");
}

static void write_skipped(struct strbuf *out)
{
        (void)strbuf_puts(out, "{\"message\":\"the images were skipped\",\"status\":\"skip\"}");
}

/* Both documented forms of a pending answer: the first half of the wait one, then the other. */
static void write_working(const struct sim_vendor *vendor, const struct job *job, int64_t now_ms,
                          struct strbuf *out)
{
        if (now_ms - job->accepted_ms < job->due_ms - now_ms)
                write_queued(vendor, job, true, out);
        else
                (void)strbuf_puts(out, "{\"status\":\"in queue\"}");
}

static void write_status(const struct sim_vendor *vendor, const struct job *job, int64_t now_ms,
                         struct strbuf *out)
{
        switch (job->state) {
        case JOB_WORKING:
                write_working(vendor, job, now_ms, out);
                break;
        case JOB_SOLVED:
                (void)strbuf_puts(out, "{");
                write_solved(vendor, job, out);
                (void)strbuf_puts(out, "}");
                break;
        case JOB_SKIPPED:
                write_skipped(out);
                break;
        }
}

static void write_shape_locked(struct sim_vendor *vendor, struct job *job, enum sim_shape shape,
                               struct strbuf *out)
{
        int64_t now_ms = clock_monotonic_ms();

        settle_locked(vendor, now_ms);
        switch (shape) {
        case SIM_SHAPE_STATUS:
                write_status(vendor, job, now_ms, out);
                break;
        case SIM_SHAPE_QUEUED:
                write_queued(vendor, job, true, out);
                break;
        case SIM_SHAPE_NOID:
                write_queued(vendor, job, false, out);
                break;
        case SIM_SHAPE_DUPLICATE:
                finish_locked(vendor, job, JOB_SOLVED);
                write_duplicate(vendor, job, out);
                break;
        case SIM_SHAPE_SKIP:
                finish_locked(vendor, job, JOB_SKIPPED);
                write_skipped(out);
                break;
        }
}

int sim_vendor_answer(struct sim_vendor *vendor, const char *id, enum sim_shape shape,
                      struct strbuf *out)
{
        struct job *job;

        (void)pthread_mutex_lock(&vendor->mutex);
        HASH_FIND_STR(vendor->jobs, id, job);
        if (job)
                write_shape_locked(vendor, job, shape, out);
        (void)pthread_mutex_unlock(&vendor->mutex);
        return job ? 0 : -ENOENT;
}

void sim_vendor_balance(struct sim_vendor *vendor, struct strbuf *out)
{
        uint64_t used = sim_counters_get(vendor->counters, SIM_COUNTER_CHARGED);
        const char *type = vendor->plan.pro ? "paid" : "free";

        if (vendor->plan.api == 1) {
                (void)strbuf_printf(out,
                                    "{\"plan id\":\"%s-1m-xxxxxxxxxx\",\"plan type\":\"%s\","
                                    "\"planlimit\":%d,\"status\":\"active\",\"used\":%" PRIu64 "}",
                                    type, type, PLAN_LIMIT, used);
                return;
        }
        (void)strbuf_printf(out,
                            "{\"Balance\":5.19,\"Currency\":\"USD\",\"Subscription\":{"
                            "\"dailyLimit\":%d,\"remaining\":%" PRIu64 ",\"used\":%" PRIu64
                            ",\"rpm\":0,\"status\":\"active\"},\"user_id\":\"sim\","
                            "\"wallet_rpm\":14,\"wallet_usages\":\"0 of 7000\"}",
                            DAILY_LIMIT, used < DAILY_LIMIT ? DAILY_LIMIT - used : 0, used);
}

void sim_vendor_settle(struct sim_vendor *vendor)
{
        (void)pthread_mutex_lock(&vendor->mutex);
        settle_locked(vendor, clock_monotonic_ms());
        (void)pthread_mutex_unlock(&vendor->mutex);
}
