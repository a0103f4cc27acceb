/*
 * control_upstreams: GET /control/upstreams, how each account does; GET /control/balance, what it
 * says of itself.
 */
#include "base/json_text.h"
#include "base/strbuf.h"
#include "dispatch/scheduler.h"
#include "forward/balance.h"
#include "gateway/gateway.h"
#include "http/control.h"
#include "http/operator.h"
#include "http/reply.h"
#include "http/server_private.h"
#include "upstream/account.h"
#include "upstream/request_counts.h"

#include <string.h>

/* Of one account, in the answer: as many as there may ever be fit, and nobody's balance is as
 * long. What is read of it is a part of the largest answer an upstream may give. */
#define BALANCE_SHOWN_MAX (CONTROL_BYTES_MAX / ACCOUNTS_EVER_MAX / 2)
#define BALANCE_BYTES_MAX (2 * 1024 * 1024)

static const char *state_of(const struct scheduler_account *account)
{
        if (account->retired)
                return "retired";
        if (account->out)
                return "refused";
        return account->open ? "failing" : "up";
}

static void add_requests(const struct request_figures *requests, struct strbuf *json)
{
        json_open_object(json, "requests");
        for (int endpoint = 0; endpoint < REQUEST_ENDPOINTS; endpoint++) {
                json_open_object(json, request_endpoint_name(endpoint));
                for (int result = 0; result < REQUEST_RESULTS; result++)
                        json_add_integer(json, request_result_name(result),
                                         requests->counts[endpoint][result]);
                json_close_object(json);
        }
        json_close_object(json);
}

/* Why it did not tell its balance when it was last asked; null where it did. */
static void add_failure(const struct balance_figures *figures, const char *name,
                        struct strbuf *json)
{
        if (!figures->failing) {
                json_add_null(json, name);
                return;
        }
        json_open_object(json, name);
        json_add_seconds(json, "age", figures->failure_age_ms);
        json_add_bool(json, "refused", figures->refused);
        json_add_text(json, "message", figures->failure);
        json_close_object(json);
}

/* The number that its last answer about itself comes to; null where there was none. */
static void add_left(struct balances *balances, const char *upstream, struct strbuf *json)
{
        struct balance_figures figures = {0};
        bool found = false;

        for (size_t i = 0; !found && balances_figures(balances, i, &figures, NULL); i++)
                found = strcmp(figures.upstream, upstream) == 0;
        if (found && figures.tells_left)
                json_add_number(json, "balance", figures.left);
        else
                json_add_null(json, "balance");
        if (!found)
                figures.failing = false;
        add_failure(&figures, "balance_failure", json);
}

static void add_upstream(const struct request *request, const struct scheduler_account *account,
                         struct strbuf *json)
{
        json_open_object(json, NULL);
        json_add_text(json, "name", account->name);
        json_add_text(json, "url", account->url);
        json_add_integer(json, "api", account->api);
        json_add_integer(json, "priority", account->priority);
        json_add_integer(json, "max_in_flight", account->max_in_flight);
        json_add_integer(json, "in_flight", account->in_flight);
        json_add_text(json, "state", state_of(account));
        add_requests(&account->requests, json);
        add_left(gateway_balances(request->server->gateway), account->name, json);
        json_close_object(json);
}

void control_add_upstreams(const struct request *request, struct strbuf *json)
{
        struct scheduler *scheduler = gateway_scheduler(request->server->gateway);
        struct scheduler_account account;

        json_open_array(json, "upstreams");
        for (size_t i = 0; scheduler_account(scheduler, i, &account); i++)
                add_upstream(request, &account, json);
        json_close_array(json);
}

enum MHD_Result control_upstreams_handle(struct request *request)
{
        struct strbuf json;

        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        control_add_upstreams(request, &json);
        json_close_object(&json);
        return reply_json(request, &json, -1);
}

/* text is the members of the last answer, or what went wrong. */
static void add_balance(const struct balance_figures *figures, const struct strbuf *text,
                        struct strbuf *json)
{
        bool too_long = text->len > BALANCE_SHOWN_MAX;

        json_open_object(json, NULL);
        json_add_text(json, "upstream", figures->upstream);
        if (figures->known)
                json_add_seconds(json, "age", figures->age_ms);
        else
                json_add_null(json, "age");
        if (figures->known && !too_long)
                json_add_object_of(json, "balance", text->len > 0 ? text->data : "", text->len);
        else
                json_add_null(json, "balance");
        if (figures->known)
                json_add_text(json, "message", too_long ? "too long to be shown here" : "");
        else
                json_add_text(json, "message", text->data ? text->data : "");
        add_failure(figures, "failure", json);
        json_close_object(json);
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
        struct strbuf json, text;
        bool more = true;

        if (request_hold(request, &hold))
                return MHD_YES;
        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        json_open_array(&json, "balances");
        for (size_t i = 0; more; i++) {
                strbuf_init(&text, BALANCE_BYTES_MAX);
                more = balances_figures(balances, i, &figures, &text);
                if (more)
                        add_balance(&figures, &text, &json);
                strbuf_done(&text);
        }
        json_close_array(&json);
        json_close_object(&json);
        return reply_json(request, &json, -1);
}
