/*
 * usage: GET /api/usage and /usage: what the client has used, and what it has left.
 */
#include "access/clients.h"
#include "access/quota.h"
#include "base/json_value.h"
#include "gateway/gateway_stats.h"
#include "http/handlers.h"
#include "http/quota_json.h"
#include "http/reply.h"
#include "http/request_private.h"

enum MHD_Result usage_handle(struct request *request)
{
        struct quota_figures figures;
        struct scheduler_usage usage;

        gateway_usage(request->server->gateway, request->client, &usage, &figures);
        return reply_json(
                request,
                JSON_OBJECT({"status", json_new_string("active")},
                            {"client", json_new_string(request->client->name)},
                            {"daily", quota_json_window(&figures.day)},
                            {"monthly", quota_json_window(&figures.month)},
                            {"rate", quota_json_rate(&figures)},
                            {"in_flight", json_new_integer(usage.in_flight)},
                            {"max_in_flight", quota_json_max_in_flight(usage.max_in_flight)},
                            {"queued", json_new_integer((int64_t)usage.queued)},
                            {"saved", quota_json_saved(&usage)}),
                -1);
}
