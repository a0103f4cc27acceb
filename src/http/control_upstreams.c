/*
 * control_upstreams: GET /control/upstreams, how each account does; GET /control/balance, what it
 * says of itself.
 */
#include "base/json_value.h"
#include "base/strbuf.h"
#include "gateway/balance.h"
#include "gateway/gateway.h"
#include "gateway/gateway_stats.h"
#include "http/control.h"
#include "http/hold.h"
#include "http/operator.h"
#include "http/reply.h"
#include "http/request_private.h"
#include "upstream/request_counts.h"

#include <string.h>

/* Of one account, in the answer: as many as there may ever be fit, and nobody's balance is as
 * long. What is read of it is a part of the largest answer an upstream may give. */
#define BALANCE_SHOWN_MAX (REPLY_JSON_BYTES_MAX / BALANCES_MAX / 2)
#define BALANCE_BYTES_MAX (2 * 1024 * 1024)

static const char *state_of(const struct scheduler_account *account)
{
        if (account->retired)
                return "retired";
        if (account->out)
                return "refused";
        return account->open ? "failing" : "up";
}

static struct json_object *requests_json(const struct request_figures *requests)
{
        struct json_object *object = json_new_object();

        for (int endpoint = 0; endpoint < REQUEST_ENDPOINTS; endpoint++) {
                struct json_object *results = json_new_object();
                for (int result = 0; result < REQUEST_RESULTS; result++)
                        json_set(&results, request_result_name(result),
                                 json_new_integer(requests->counts[endpoint][result]));
                json_set(&object, request_endpoint_name(endpoint), results);
        }
        return object;
}

/* Why it did not tell its balance when it was last asked; null where it did. */
static struct json_object *failure_json(const struct balance_figures *figures)
{
        if (!figures->failing)
                return NULL;
        return JSON_OBJECT({"age", json_new_seconds(figures->failure_age_ms)},
                           {"refused", json_new_bool(figures->refused)},
                           {"message", json_new_string(figures->failure)});
}

/* What an account last told of itself; zeroed where there was nothing. */
static struct balance_figures find_figures(struct balances *balances, const char *upstream)
{
        struct balance_figures figures;

        for (size_t i = 0; balances_figures(balances, i, &figures, NULL); i++)
                if (strcmp(figures.upstream, upstream) == 0)
                        return figures;
        return (struct balance_figures){0};
}

static struct json_object *upstream_json(const struct request *request,
                                         const struct scheduler_account *account)
{
        struct balance_figures figures =
                find_figures(gateway_balances(request->server->gateway), account->name);

        return JSON_OBJECT({"name", json_new_string(account->name)},
                           {"url", json_new_string(account->url)},
                           {"api", json_new_integer(account->api)},
                           {"priority", json_new_integer(account->priority)},
                           {"max_in_flight", json_new_integer(account->max_in_flight)},
                           {"in_flight", json_new_integer(account->in_flight)},
                           {"state", json_new_string(state_of(account))},
                           {"requests", requests_json(&account->requests)},
                           {"balance", figures.tells_left ? json_new_number(figures.left) : NULL},
                           {"balance_failure", failure_json(&figures)});
}

struct json_object *control_upstreams(const struct request *request)
{
        struct json_object *upstreams = json_new_array();
        struct scheduler_account account;

        for (size_t i = 0; gateway_upstream(request->server->gateway, i, &account); i++)
                json_append(&upstreams, upstream_json(request, &account));
        return upstreams;
}

enum MHD_Result control_upstreams_handle(struct request *request)
{
        return reply_json(request, JSON_OBJECT({"upstreams", control_upstreams(request)}), -1);
}

/* text is the members of the last answer, or what went wrong. */
static struct json_object *balance_json(const struct balance_figures *figures,
                                        const struct strbuf *text)
{
        bool too_long = text->len > BALANCE_SHOWN_MAX, known = figures->known;
        const char *message = text->data ? text->data : "";

        if (known)
                message = too_long ? "too long to be shown here" : "";
        return JSON_OBJECT({"upstream", json_new_string(figures->upstream)},
                           {"age", known ? json_new_seconds(figures->age_ms) : NULL},
                           {"balance", known && !too_long ? json_new_raw_object(text) : NULL},
                           {"message", json_new_string(message)},
                           {"failure", failure_json(figures)});
}

static bool arm(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;

        request->balance =
                balances_await(gateway_balances(request->server->gateway), &request->waiter);
        if (!request->balance)
                return false;
        hooks->ask_balances(hooks->arg);
        return true;
}

static bool disarm(struct request *request)
{
        return balance_unwait(request->balance, &request->waiter);
}

/* The upstreams are asked all at once, and the first one's answer is waited for. */
enum MHD_Result control_balance_handle(struct request *request)
{
        const struct hold hold = {
                .what = HOLD_FOR_ANSWER,
                .level = WAITER_FINAL,
                .hold_ms = BALANCE_TIMEOUT_MS * 2, /* the question itself ends before that */
                .arm = arm,
                .disarm = disarm,
        };
        struct balances *balances = gateway_balances(request->server->gateway);
        struct balance_figures figures;
        struct json_object *list;
        struct strbuf text;
        bool more = true;

        if (request_hold(request, &hold))
                return MHD_YES;
        list = json_new_array();
        for (size_t i = 0; more; i++) {
                strbuf_init(&text, BALANCE_BYTES_MAX);
                more = balances_figures(balances, i, &figures, &text);
                if (more)
                        json_append(&list, balance_json(&figures, &text));
                strbuf_done(&text);
        }
        return reply_json(request, JSON_OBJECT({"balances", list}), -1);
}
