/*
 * wait: see wait.h.
 */
#include "http/wait.h"

#include "gateway/gateway.h"
#include "http/hold.h"
#include "http/prefer.h"

#include <stdio.h>
#include <strings.h>

static enum MHD_Result on_prefer_field(void *arg, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
        struct prefer *prefer = arg;

        (void)kind;
        if (value && strcasecmp(name, "Prefer") == 0)
                prefer_add(prefer, value);
        return MHD_YES;
}

/* What the client prefers; a query parameter counts before the field. */
static struct prefer read_preferences(struct request *request, bool *ret_in_query)
{
        struct prefer prefer = prefer_none();
        const char *query =
                MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, "wait");
        int64_t wait_s = query ? prefer_seconds(query) : -1;

        (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, on_prefer_field, &prefer);
        *ret_in_query = wait_s >= 0;
        if (wait_s >= 0)
                prefer.wait_s = wait_s;
        return prefer;
}

static bool arm(struct request *request)
{
        return gateway_wait(request->server->gateway, request->job, &request->waiter);
}

static bool disarm(struct request *request)
{
        return gateway_unwait(request->server->gateway, request->job, &request->waiter);
}

bool wait_for_end(struct request *request)
{
        const struct hold hold = {.what = HOLD_FOR_STORE,
                                  .level = WAITER_FINAL,
                                  .hold_ms = STORE_HOLD_MS,
                                  .arm = arm,
                                  .disarm = disarm};

        return request_hold(request, &hold);
}

bool wait_for_job(struct request *request, enum waiter_level level, int64_t hold_ms)
{
        struct hold hold = {.what = HOLD_FOR_ANSWER,
                            .level = level,
                            .hold_ms = hold_ms,
                            .arm = arm,
                            .disarm = disarm};
        bool in_query;
        struct prefer prefer = read_preferences(request, &in_query);

        /* With both, the wait says when the asynchronous answer begins (RFC 7240, 4.3). */
        if (prefer.wait_s >= 0) {
                hold.level = WAITER_FINAL;
                hold.hold_ms = prefer.wait_s * 1000;
                if (!in_query)
                        (void)snprintf(request->preference_applied,
                                       sizeof request->preference_applied, "wait=%lld",
                                       (long long)prefer.wait_s);
        } else if (prefer.respond_async) {
                hold.hold_ms = 0;
                (void)snprintf(request->preference_applied, sizeof request->preference_applied,
                               "respond-async");
        }
        return request_hold(request, &hold);
}
