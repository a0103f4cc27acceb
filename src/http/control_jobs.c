/*
 * control_jobs: GET /control/jobs, what is under way; GET /control/job, one of them, or of those
 * that have ended and are still known; DELETE, its end.
 */
#include "base/clock.h"
#include "base/json_value.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "gateway/gateway_operator.h"
#include "http/cancel.h"
#include "http/control.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"
#include "job/job.h"
#include "job/outcome.h"

#include <stdlib.h>
#include <string.h>

#define JOBS_SHOWN     100
#define JOBS_SHOWN_MAX 1000
#define LIMIT_DIGITS   4 /* of JOBS_SHOWN_MAX */

/* ---- one job ---- */

static struct json_object *job_json(const struct scheduler_job *shown)
{
        const struct job *job = shown->job;
        int64_t now_ms = clock_monotonic_ms();
        bool final = job_state_final(shown->state);
        const struct outcome *outcome = final ? job->outcome : NULL;
        bool failed = outcome && outcome->error != JOB_ERROR_NONE;

        return JSON_OBJECT(
                {"id", json_new_string(job->id)}, {"client", json_new_string(job->client)},
                {"state", json_new_string(job_state_name(shown->state))},
                {"source", json_new_string(job_source_name(job->source))},
                {"upstream", json_new_string(shown->upstream)},
                {"created", json_new_time(job->created_wall_ms)},
                {"age", json_new_seconds(now_ms - job->created_ms)},
                {"deadline_in", final ? NULL : json_new_seconds(job->deadline_ms - now_ms)},
                {"attempts", json_new_integer(shown->attempts)},
                {"trouble", json_new_string(shown->trouble)},
                {"trouble_upstream", json_new_string(shown->trouble_upstream)},
                {"code", failed ? json_new_string(job_error_code(outcome->error)) : NULL},
                /* The text of a success is the solution. */
                {"message", failed ? json_new_string(outcome->text) : NULL},
                {"finished", outcome ? json_new_time(job_wall_of(job->finished_ms)) : NULL});
}

static void show_job(void *arg, const struct scheduler_job *shown)
{
        struct json_object **json = arg;

        *json = job_json(shown);
}

static void find(struct request *request)
{
        const char *id = control_parameter(request, "id");
        int64_t ttl_s = gateway_config(request->server->gateway)->results.ttl_ms / 1000;

        if (!id) {
                request_refuse(request, 400, "bad_request", "name the job: /control/job?id=ID");
                return;
        }
        request->job = gateway_find(request->server->gateway, id);
        if (!request->job)
                request_refuse(request, 404, "unknown_id",
                               "no job has this id; one that has ended is known for at most %lld "
                               "second%s (results.ttl), less where results.bytes is too little "
                               "for all",
                               (long long)ttl_s, ttl_s == 1 ? "" : "s");
}

enum MHD_Result control_job_handle(struct request *request)
{
        struct json_object *json;

        find(request);
        if (request->refusal.status != 0)
                return reply_refusal(request);
        gateway_show_job(request->server->gateway, request->job, show_job, &json);
        return reply_json(request, json, -1);
}

/* ---- the list ---- */

/* Returns 0 for what is no number between 1 and JOBS_SHOWN_MAX. */
static size_t read_limit(const char *text)
{
        size_t len = strlen(text);

        if (len == 0 || len > LIMIT_DIGITS || strspn(text, "0123456789") != len)
                return 0;
        size_t limit = strtoul(text, NULL, 10);
        return limit <= JOBS_SHOWN_MAX ? limit : 0;
}

static bool read_state(const char *text, enum job_state *ret_state)
{
        static const enum job_state states[] = {JOB_QUEUED, JOB_SENDING, JOB_ACCEPTED};

        for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
                if (strcmp(text, job_state_name(states[i])) == 0) {
                        *ret_state = states[i];
                        return true;
                }
        }
        return false;
}

static struct scheduler_choice read_choice(struct request *request)
{
        const char *limit = control_parameter(request, "limit");
        const char *state = control_parameter(request, "state");
        struct scheduler_choice choice = {
                .client = control_parameter(request, "client"),
                .any_state = state == NULL,
                .limit = limit ? read_limit(limit) : JOBS_SHOWN,
        };

        if (choice.limit == 0)
                request_refuse(request, 400, "bad_request", "limit is a number from 1 to %d",
                               JOBS_SHOWN_MAX);
        if (state && !read_state(state, &choice.state))
                request_refuse(request, 400, "bad_request",
                               "state is queued, sending or accepted; what has ended is not "
                               "listed");
        return choice;
}

static void append_job(void *arg, const struct scheduler_job *shown)
{
        struct json_object **jobs = arg;

        if (!*jobs)
                *jobs = json_new_array();
        json_append(jobs, job_json(shown));
}

enum MHD_Result control_jobs_handle(struct request *request)
{
        struct scheduler_choice choice = read_choice(request);
        struct json_object *jobs = NULL;
        size_t total;

        if (request->refusal.status == 0 &&
            gateway_each_job(request->server->gateway, &choice, append_job, &jobs, &total) < 0)
                request_refuse(request, 503, "queue_full",
                               "solvegate has no memory for the list; ask for fewer");
        if (request->refusal.status != 0)
                return reply_refusal(request);
        return reply_json(request,
                          JSON_OBJECT({"jobs", jobs ? jobs : json_new_array()},
                                      {"total", json_new_integer((int64_t)total)}),
                          -1);
}

/* ---- cancelling ---- */

static enum MHD_Result reply_cancelled(struct request *request)
{
        enum job_state state = gateway_state(request->server->gateway, request->job);

        return reply_json(request,
                          JSON_OBJECT({"id", json_new_string(request->job->id)},
                                      {"state", json_new_string(job_state_name(state))}),
                          -1);
}

enum MHD_Result control_job_cancel(struct request *request)
{
        return cancel_handle(request, find, END_BY_OPERATOR, reply_cancelled);
}
