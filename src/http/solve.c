/*
 * solve: POST /api/solve and /solve.
 */
#include "access/clients.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "http/directive.h"
#include "http/handlers.h"
#include "http/hold.h"
#include "http/idempotency.h"
#include "http/parse.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"
#include "http/wait.h"
#include "job/job.h"
#include "job/parser.h"

#include <string.h>
#include <strings.h>

static enum MHD_Result on_cache_control(void *arg, enum MHD_ValueKind kind, const char *name,
                                        const char *value)
{
        bool *no_cache = arg;

        (void)kind;
        if (value && strcasecmp(name, "Cache-Control") == 0)
                *no_cache = *no_cache || directive_has(value, "no-cache");
        return MHD_YES;
}

/* What the header says of how the job is to be taken. */
static struct gateway_order read_order(struct request *request,
                                       char key[static JOB_KEY_BYTES_MAX + 1])
{
        struct gateway_order order = {.policy = request->server->policy,
                                      .client = request->client,
                                      .address = request->address,
                                      .loop = request->server->loop};
        const char *field = request_field(request, "Idempotency-Key");

        (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, on_cache_control,
                                        &order.fresh);
        if (field && idempotency_key(field, key))
                order.key = key;
        else if (field)
                request_refuse(request, 400, "bad_request",
                               "the Idempotency-Key is not 1 to %d printable characters of ASCII, "
                               "in quotes or without",
                               JOB_KEY_BYTES_MAX);
        return order;
}

/* The request has its job, or is refused, or goes on to wait for the decision. */
static void note(struct request *request, enum gateway_verdict verdict,
                 const struct gateway_submission *submission)
{
        request->job = submission->job;
        request->pending = submission->pending;
        refusal_from_verdict(request, verdict, submission->told.message);
        if (submission->told.retry_after_s > 0)
                request->refusal.retry_after_s = submission->told.retry_after_s;
}

static void submit(struct request *request)
{
        struct server *server = request->server;
        char key[JOB_KEY_BYTES_MAX + 1];
        struct gateway_submission submission;
        struct gateway_order order = read_order(request, key);
        struct parse here = {0};

        if (request->refusal.status != 0)
                return;
        if (!request->parse)
                parse_here(request, &here);
        enum gateway_verdict verdict =
                gateway_submit(server->gateway, server->forwarder, &order,
                               request->parse ? request->parse : &here, &submission);
        parse_done(&here);
        parse_end(request);
        memcpy(request->site, submission.told.host, sizeof request->site);
        note(request, verdict, &submission);
}

/* ---- until the job is decided about ---- */

static bool arm_admission(struct request *request)
{
        return gateway_submission_wait(request->pending, &request->waiter);
}

static bool disarm_admission(struct request *request)
{
        return gateway_submission_unwait(request->pending, &request->waiter);
}

/* Returns whether the request is held until then; else it has its job, or is refused. */
static bool wait_for_admission(struct request *request)
{
        struct server *server = request->server;
        const struct config *config = gateway_config(server->gateway);
        struct hold hold = {.what = HOLD_FOR_ADMISSION,
                            .level = WAITER_FINAL,
                            .hold_ms = STORE_HOLD_MS,
                            .arm = arm_admission,
                            .disarm = disarm_admission};
        struct gateway_submission submission;

        if (!request->pending)
                return false;
        if (hold.hold_ms > config->limits.job_deadline_ms)
                hold.hold_ms = config->limits.job_deadline_ms;
        if (request_hold(request, &hold))
                return true;
        enum gateway_verdict verdict = gateway_submission_end(
                server->gateway, server->forwarder, request->client, request->pending, &submission);
        note(request, verdict, &submission);
        return false;
}

/* ---- the ID is returned when the job is stored ---- */

static bool arm_keep(struct request *request)
{
        return gateway_wait_durable(request->server->gateway, request->server->loop, request->job,
                                    &request->waiter);
}

static bool disarm_keep(struct request *request)
{
        return gateway_unwait_durable(request->server->gateway, request->job, &request->waiter);
}

/* Returns whether the request is held until the job is stored; if it cannot be, it is refused. */
static bool wait_for_store(struct request *request)
{
        const struct hold hold = {.what = HOLD_FOR_STORE,
                                  .level = WAITER_FINAL,
                                  .hold_ms = STORE_HOLD_MS,
                                  .arm = arm_keep,
                                  .disarm = disarm_keep};
        char message[GATEWAY_MESSAGE_BYTES_MAX];

        if (request_hold(request, &hold))
                return true;
        if (!gateway_is_durable(request->server->gateway, request->job))
                refusal_from_verdict(request,
                                     gateway_withdraw(request->server->gateway,
                                                      request->server->loop, request->job, message),
                                     message);
        return false;
}

enum MHD_Result solve_handle(struct request *request)
{
        const struct config *config = gateway_config(request->server->gateway);

        bool comes = !request->job && !request->pending;

        if (comes && parse_hold(request))
                return MHD_YES;
        if (comes)
                submit(request);
        if (wait_for_admission(request))
                return MHD_YES;
        if (request->refusal.status != 0)
                return reply_refusal(request);
        if (wait_for_job(request, WAITER_FIRST_ANSWER, config->answers.solve_hold_ms) ||
            wait_for_store(request))
                return MHD_YES;
        if (request->refusal.status != 0)
                return reply_refusal(request);
        return reply_job(request);
}
