/*
 * solve: POST /api/solve and /solve.
 */
#include "base/log.h"
#include "config/config.h"
#include "engine/gateway.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"
#include "http/verdict.h"
#include "http/wait.h"

static void submit(struct request *request)
{
        struct server *server = request->server;
        char message[GATEWAY_MESSAGE_BYTES_MAX];
        enum gateway_verdict verdict = gateway_submit(server->gateway, server->forwarder,
                                                      request->body, &request->job, message);

        if (verdict == GATEWAY_OK)
                request->body = NULL; /* the job's now */
        if (verdict == GATEWAY_SITE)
                log_warning("job refused: %s", message);
        verdict_refuse(request, verdict, message);
}

enum MHD_Result solve_handle(struct request *request)
{
        const struct config *config = gateway_config(request->server->gateway);

        if (!request->job)
                submit(request);
        if (request->refusal.status != 0)
                return reply_refusal(request);
        if (wait_for_job(request, WAITER_FIRST_ANSWER, config->answers.solve_hold_ms))
                return MHD_YES;
        return reply_job(request);
}
