/*
 * control_clients: GET /control/clients, what each may do and does; GET /control/usage, what it has
 * cost.
 */
#include "access/clients.h"
#include "access/policy.h"
#include "access/quota.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/strbuf.h"
#include "dispatch/charges.h"
#include "dispatch/scheduler.h"
#include "gateway/gateway.h"
#include "http/control.h"
#include "http/quota_json.h"
#include "http/reply.h"
#include "http/server_private.h"

/* What was asked for the day after it is over by then. */
#define DAY_MS INT64_C(86400000)

static void add_client(struct request *request, const struct policy_rule *rule, struct strbuf *json)
{
        struct quota_figures figures;
        struct scheduler_usage usage;

        scheduler_usage(gateway_scheduler(request->server->gateway), rule->client, &usage,
                        &figures);
        json_open_object(json, NULL);
        json_add_text(json, "name", rule->client->name);
        json_add_integer(json, "weight", rule->weight);
        quota_json_max_in_flight(json, rule->max_in_flight);
        quota_json_rate(json, &figures);
        if (rule->until_ms != 0)
                json_add_date(json, "expires", rule->until_ms - DAY_MS);
        else
                json_add_null(json, "expires");
        json_add_bool(json, "expired", rule->until_ms != 0 && rule->until_ms <= clock_wall_ms());
        if (rule->has_sites)
                json_add_integer(json, "sites", (int64_t)rule->sites_count);
        else
                json_add_null(json, "sites");
        json_add_integer(json, "in_flight", usage.in_flight);
        json_add_integer(json, "queued", (int64_t)usage.queued);
        json_add_integer(json, "unfinished", (int64_t)usage.unfinished);
        quota_json_windows(json, &figures);
        quota_json_saved(json, &usage);
        json_close_object(json);
}

enum MHD_Result control_clients_handle(struct request *request)
{
        struct policy_rule rule;
        struct strbuf json;

        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        json_open_array(&json, "clients");
        for (size_t i = 0; policy_rule(request->server->policy, i, &rule); i++)
                add_client(request, &rule, &json);
        json_close_array(&json);
        json_close_object(&json);
        return reply_json(request, &json, -1);
}

static void add_charges(void *arg, const struct charges_row *row)
{
        struct strbuf *json = arg;

        json_open_object(json, NULL);
        json_add_text(json, "client", row->client);
        json_add_text(json, "upstream", row->upstream);
        json_add_integer(json, "charged", row->charged);
        json_add_integer(json, "unknown", row->unknown);
        json_close_object(json);
}

static void add_usage(struct request *request, struct client *client, struct strbuf *json)
{
        struct quota_figures figures;
        struct scheduler_usage usage;

        scheduler_usage(gateway_scheduler(request->server->gateway), client, &usage, &figures);
        json_open_object(json, NULL);
        json_add_text(json, "name", client->name);
        quota_json_windows(json, &figures);
        quota_json_saved(json, &usage);
        json_close_object(json);
}

enum MHD_Result control_usage_handle(struct request *request)
{
        struct policy_rule rule;
        struct strbuf json;

        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        json_open_array(&json, "ledger");
        charges_each(gateway_charges(request->server->gateway), add_charges, &json);
        json_close_array(&json);
        json_open_array(&json, "clients");
        for (size_t i = 0; policy_rule(request->server->policy, i, &rule); i++)
                add_usage(request, rule.client, &json);
        json_close_array(&json);
        json_close_object(&json);
        return reply_json(request, &json, -1);
}
