/*
 * usage: GET /api/usage and /usage: what the client has used, and what it has left.
 */
#include "access/clients.h"
#include "access/quota.h"
#include "base/json_text.h"
#include "base/strbuf.h"
#include "dispatch/scheduler.h"
#include "gateway/gateway.h"
#include "http/quota_json.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"

#define USAGE_BYTES_MAX 4096

enum MHD_Result usage_handle(struct request *request)
{
        struct quota_figures figures;
        struct scheduler_usage usage;
        struct strbuf json;

        scheduler_usage(gateway_scheduler(request->server->gateway), request->client, &usage,
                        &figures);
        strbuf_init(&json, USAGE_BYTES_MAX);
        json_open_object(&json, NULL);
        json_add_text(&json, "status", "active");
        json_add_text(&json, "client", request->client->name);
        quota_json_windows(&json, &figures);
        quota_json_rate(&json, &figures);
        json_add_integer(&json, "in_flight", usage.in_flight);
        quota_json_max_in_flight(&json, usage.max_in_flight);
        json_add_integer(&json, "queued", (int64_t)usage.queued);
        quota_json_saved(&json, &usage);
        json_close_object(&json);
        return reply_json(request, &json, -1);
}
