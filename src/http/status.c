/*
 * status: GET /api/status?id= and /status?id=, answered from memory.
 */
#include "config/config.h"
#include "engine/gateway.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"
#include "http/wait.h"
#include "job/results.h"

static void find(struct request *request)
{
        const char *id = MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, "id");

        if (!id) {
                request_refuse(request, 400, "bad_request", "name the job: %s?id=ID",
                               request->route->path);
                return;
        }
        request->job = results_find(gateway_results(request->server->gateway), id);
        if (!request->job)
                request_refuse(
                        request, 404, "unknown_id",
                        "no job has this id; a result is kept for %lld seconds (results.ttl), and "
                        "not over a restart",
                        (long long)(gateway_config(request->server->gateway)->results.ttl_ms /
                                    1000));
}

enum MHD_Result status_handle(struct request *request)
{
        const struct config *config = gateway_config(request->server->gateway);

        if (!request->job)
                find(request);
        if (request->refusal.status != 0)
                return reply_refusal(request);
        if (wait_for_job(request, WAITER_FINAL, config->answers.status_hold_ms))
                return MHD_YES;
        return reply_job(request);
}
