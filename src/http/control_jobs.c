/*
 * control_jobs: GET /control/jobs, what is under way; GET /control/job, one of them, or of those
 * that have ended and are still known; DELETE, its end.
 */
#include "base/clock.h"
#include "base/json_text.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "dispatch/scheduler.h"
#include "gateway/gateway.h"
#include "http/cancel.h"
#include "http/control.h"
#include "http/reply.h"
#include "http/server_private.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/results.h"

#include <stdlib.h>
#include <string.h>

#define JOBS_SHOWN     100
#define JOBS_SHOWN_MAX 1000
#define LIMIT_DIGITS   4 /* of JOBS_SHOWN_MAX */

/* ---- one job ---- */

/* How it ended; nulls where it has not. */
static void add_end(struct strbuf *json, const struct scheduler_job *shown)
{
        const struct outcome *outcome = job_state_final(shown->state) ? shown->job->outcome : NULL;
        bool failed = outcome && outcome->error != JOB_ERROR_NONE;

        json_add_text(json, "code", failed ? job_error_code(outcome->error) : NULL);
        json_add_text(json, "message", failed ? outcome->text : NULL); /* else the solution */
        if (outcome)
                json_add_time(json, "finished", job_wall_of(shown->job->finished_ms));
        else
                json_add_null(json, "finished");
}

static void add_job(struct strbuf *json, const struct scheduler_job *shown)
{
        const struct job *job = shown->job;
        int64_t now_ms = clock_monotonic_ms();

        json_open_object(json, NULL);
        json_add_text(json, "id", job->id);
        json_add_text(json, "client", job->client);
        json_add_text(json, "state", job_state_name(shown->state));
        json_add_text(json, "source", job_source_name(job->source));
        json_add_text(json, "upstream", shown->upstream);
        json_add_time(json, "created", job->created_wall_ms);
        json_add_seconds(json, "age", now_ms - job->created_ms);
        if (job_state_final(shown->state))
                json_add_null(json, "deadline_in");
        else
                json_add_seconds(json, "deadline_in", job->deadline_ms - now_ms);
        json_add_integer(json, "attempts", shown->attempts);
        json_add_text(json, "trouble", shown->trouble);
        json_add_text(json, "trouble_upstream", shown->trouble_upstream);
        add_end(json, shown);
        json_close_object(json);
}

static void find(struct request *request)
{
        const char *id = control_parameter(request, "id");
        int64_t ttl_s = gateway_config(request->server->gateway)->results.ttl_ms / 1000;

        if (!id) {
                request_refuse(request, 400, "bad_request", "name the job: /control/job?id=ID");
                return;
        }
        request->job = results_find(gateway_results(request->server->gateway), id);
        if (!request->job)
                request_refuse(request, 404, "unknown_id",
                               "no job has this id; one that has ended is known for at most %lld "
                               "second%s (results.ttl), less where results.bytes is too little "
                               "for all",
                               (long long)ttl_s, ttl_s == 1 ? "" : "s");
}

enum MHD_Result control_job_handle(struct request *request)
{
        struct scheduler_job shown;
        struct strbuf json;

        find(request);
        if (request->refusal.status != 0)
                return reply_refusal(request);
        scheduler_describe(gateway_scheduler(request->server->gateway), request->job, &shown);
        strbuf_init(&json, CONTROL_BYTES_MAX);
        add_job(&json, &shown);
        scheduler_job_done(&shown);
        return reply_json(request, &json, -1);
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

enum MHD_Result control_jobs_handle(struct request *request)
{
        struct scheduler_choice choice = read_choice(request);
        struct scheduler_list list = {0};
        struct strbuf json;

        if (request->refusal.status == 0 &&
            scheduler_jobs(gateway_scheduler(request->server->gateway), &choice, &list) < 0)
                request_refuse(request, 503, "queue_full",
                               "solvegate has no memory for the list; ask for fewer");
        if (request->refusal.status != 0)
                return reply_refusal(request);
        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        json_open_array(&json, "jobs");
        for (size_t i = 0; i < list.count; i++)
                add_job(&json, &list.jobs[i]);
        json_close_array(&json);
        json_add_integer(&json, "total", (int64_t)list.total);
        json_close_object(&json);
        scheduler_list_done(&list);
        return reply_json(request, &json, -1);
}

/* ---- cancelling ---- */

static enum MHD_Result reply_cancelled(struct request *request)
{
        enum job_state state =
                results_state(gateway_results(request->server->gateway), request->job);
        struct strbuf json;

        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        json_add_text(&json, "id", request->job->id);
        json_add_text(&json, "state", job_state_name(state));
        json_close_object(&json);
        return reply_json(request, &json, -1);
}

enum MHD_Result control_job_cancel(struct request *request)
{
        return cancel_handle(request, find, "the operator", reply_cancelled);
}
