/*
 * account: GET /api/account/balance and /balance: what a client with limits of its own has left,
 * for the others the last answer of the upstream.
 */
#include "access/clients.h"
#include "access/quota.h"
#include "base/json_value.h"
#include "base/strbuf.h"
#include "gateway/balance.h"
#include "gateway/gateway.h"
#include "gateway/gateway_stats.h"
#include "http/handlers.h"
#include "http/hold.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"

#define BALANCE_BYTES_MAX (2 * 1024 * 1024)

/* ---- a client's own allowance ---- */

/* The limit that ends first, or NULL. */
static const struct quota_window *tighter(const struct quota_figures *figures)
{
        const struct quota_window *day = &figures->day, *month = &figures->month;

        if (day->limit > 0 && (month->limit == 0 || day->left < month->left))
                return day;
        return month->limit > 0 ? month : NULL;
}

/* In the shape in which the upstream tells its own plans. */
static enum MHD_Result reply_allowance(struct request *request, const char *type,
                                       const struct quota_window *window)
{
        return reply_json(request,
                          JSON_OBJECT({"plan id", json_new_string(request->client->name)},
                                      {"plan type", json_new_string(type)},
                                      {"planlimit", json_new_integer(window->limit)},
                                      {"status", json_new_string("active")},
                                      {"used", json_new_integer(window->used + window->reserved)}),
                          -1);
}

/* ---- the upstream's balance ---- */

static bool arm(struct request *request)
{
        struct server *server = request->server;

        /* Which one is the first may be another after a reload. */
        request->balance = balances_first(gateway_balances(server->gateway));
        return balance_wait(request->balance, server->forwarder, &request->waiter);
}

static bool disarm(struct request *request)
{
        return balance_unwait(request->balance, &request->waiter);
}

static enum MHD_Result reply_balance(struct request *request)
{
        struct hold hold = {
                .what = HOLD_FOR_ANSWER,
                .level = WAITER_FINAL,
                .hold_ms = BALANCE_TIMEOUT_MS * 2, /* the request itself ends before that */
                .arm = arm,
                .disarm = disarm,
        };
        struct strbuf text;
        int64_t age_ms;

        /* A reload has put another one first since: that is waited for as well. */
        if (request->balance &&
            request->balance != balances_first(gateway_balances(request->server->gateway)))
                request->waited &= ~(1U << HOLD_FOR_ANSWER);
        if (request_hold(request, &hold))
                return MHD_YES;
        strbuf_init(&text, BALANCE_BYTES_MAX);
        int r = balance_read(balances_first(gateway_balances(request->server->gateway)), &text,
                             &age_ms);
        if (r < 0) {
                request_refuse(request, 503, "no_upstream",
                               "the upstream did not tell its balance: %s",
                               text.data ? text.data : "no memory");
                strbuf_done(&text);
                return reply_refusal(request);
        }
        struct json_object *json = json_new_raw_object(&text);
        strbuf_done(&text);
        return reply_json(request, json, age_ms / 1000);
}

enum MHD_Result balance_handle(struct request *request)
{
        struct quota_figures figures;
        struct scheduler_usage usage;

        gateway_usage(request->server->gateway, request->client, &usage, &figures);
        const struct quota_window *window = tighter(&figures);
        if (!window)
                return reply_balance(request);
        return reply_allowance(request, window == &figures.day ? "daily" : "monthly", window);
}
