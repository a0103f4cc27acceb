/*
 * status: GET /api/status?id= and /status?id=, answered from memory; DELETE cancels.
 */
#include "access/clients.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "http/cancel.h"
#include "http/handlers.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"
#include "http/route.h"
#include "http/wait.h"
#include "job/job.h"

#include <string.h>

/* The id is a capability, so who shows no token may ask for any job; who shows one, for his own. */
static bool is_foreign(const struct request *request)
{
        return request->has_token && strcmp(request->job->client, request->client->name) != 0;
}

static void find(struct request *request)
{
        const char *id = MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, "id");
        const struct config *config = gateway_config(request->server->gateway);
        int64_t ttl_s = config->results.ttl_ms / 1000;

        if (!id) {
                request_refuse(request, 400, "bad_request", "name the job: %s?id=ID",
                               request->route->path);
                return;
        }
        request->job = gateway_find(request->server->gateway, id);
        if (request->job && is_foreign(request)) {
                job_unref(request->job);
                request->job = NULL;
        }
        if (!request->job)
                request_refuse(request, 404, "unknown_id",
                               "no job has this id; a result is kept for at most %lld second%s "
                               "(results.ttl), less "
                               "where results.bytes is too little for all%s",
                               (long long)ttl_s, ttl_s == 1 ? "" : "s",
                               config->durability == DURABILITY_NONE
                                       ? "; none outlives a restart (durability = \"none\")"
                                       : "");
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

enum MHD_Result status_cancel(struct request *request)
{
        return cancel_handle(request, find, END_BY_OWNER, reply_job);
}
