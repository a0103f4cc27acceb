/*
 * control_clients: GET /control/clients, what each may do and does; GET /control/usage, what it has
 * cost.
 */
#include "access/clients.h"
#include "access/policy.h"
#include "access/quota.h"
#include "base/clock.h"
#include "base/json_value.h"
#include "gateway/gateway_stats.h"
#include "http/control.h"
#include "http/quota_json.h"
#include "http/reply.h"
#include "http/request_private.h"

/* What was asked for the day after it is over by then. */
#define DAY_MS INT64_C(86400000)

static struct json_object *client_json(struct request *request, const struct policy_rule *rule)
{
        bool expires = rule->until_ms != 0;
        struct quota_figures figures;
        struct scheduler_usage usage;

        gateway_usage(request->server->gateway, rule->client, &usage, &figures);
        return JSON_OBJECT(
                {"name", json_new_string(rule->client->name)},
                {"weight", json_new_integer(rule->weight)},
                {"max_in_flight", quota_json_max_in_flight(rule->max_in_flight)},
                {"rate", quota_json_rate(&figures)},
                {"expires", expires ? json_new_date(rule->until_ms - DAY_MS) : NULL},
                {"expired", json_new_bool(expires && rule->until_ms <= clock_wall_ms())},
                {"sites", rule->has_sites ? json_new_integer((int64_t)rule->sites_count) : NULL},
                {"in_flight", json_new_integer(usage.in_flight)},
                {"queued", json_new_integer((int64_t)usage.queued)},
                {"unfinished", json_new_integer((int64_t)usage.unfinished)},
                {"daily", quota_json_window(&figures.day)},
                {"monthly", quota_json_window(&figures.month)},
                {"saved", quota_json_saved(&usage)});
}

enum MHD_Result control_clients_handle(struct request *request)
{
        struct json_object *clients = json_new_array();
        struct policy_rule rule;

        for (size_t i = 0; policy_rule(request->server->policy, i, &rule); i++)
                json_append(&clients, client_json(request, &rule));
        return reply_json(request, JSON_OBJECT({"clients", clients}), -1);
}

static void add_charges(void *arg, const struct charges_row *row)
{
        struct json_object **ledger = arg;

        json_append(ledger, JSON_OBJECT({"client", json_new_string(row->client)},
                                        {"upstream", json_new_string(row->upstream)},
                                        {"charged", json_new_integer(row->charged)},
                                        {"unknown", json_new_integer(row->unknown)}));
}

static struct json_object *usage_json(struct request *request, struct client *client)
{
        struct quota_figures figures;
        struct scheduler_usage usage;

        gateway_usage(request->server->gateway, client, &usage, &figures);
        return JSON_OBJECT({"name", json_new_string(client->name)},
                           {"daily", quota_json_window(&figures.day)},
                           {"monthly", quota_json_window(&figures.month)},
                           {"saved", quota_json_saved(&usage)});
}

enum MHD_Result control_usage_handle(struct request *request)
{
        struct json_object *ledger = json_new_array(), *clients = json_new_array();
        struct policy_rule rule;

        gateway_each_charge(request->server->gateway, add_charges, &ledger);
        for (size_t i = 0; policy_rule(request->server->policy, i, &rule); i++)
                json_append(&clients, usage_json(request, rule.client));
        return reply_json(request, JSON_OBJECT({"ledger", ledger}, {"clients", clients}), -1);
}
