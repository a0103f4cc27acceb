/*
 * account: GET /api/account/balance and /balance, answered from the last answer of the upstream.
 */
#include "base/strbuf.h"
#include "engine/balance.h"
#include "engine/forward.h"
#include "engine/gateway.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"

#include <errno.h>

#define BALANCE_BYTES_MAX (2 * 1024 * 1024)

static bool arm(struct request *request)
{
        struct server *server = request->server;

        return balance_wait(balances_first(gateway_balances(server->gateway)),
                            forwarder_transfers(server->forwarder), &request->waiter);
}

static bool disarm(struct request *request)
{
        return balance_unwait(balances_first(gateway_balances(request->server->gateway)),
                              &request->waiter);
}

enum MHD_Result balance_handle(struct request *request)
{
        struct hold hold = {
                .what = HOLD_FOR_ANSWER,
                .level = WAITER_FINAL,
                .hold_ms = BALANCE_TIMEOUT_MS * 2, /* the request itself ends before that */
                .arm = arm,
                .disarm = disarm,
        };
        struct strbuf text, json;
        int64_t age_ms;

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
        strbuf_init(&json, BALANCE_BYTES_MAX);
        (void)strbuf_puts(&json, "{");
        (void)strbuf_append(&json, text.data, text.len);
        (void)strbuf_puts(&json, "}");
        strbuf_done(&text);
        return reply_json(request, &json, age_ms / 1000);
}
