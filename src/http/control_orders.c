/*
 * control_orders: POST /control/drain, /control/resume and /control/reload.
 */
#include "base/json_value.h"
#include "gateway/gateway_operator.h"
#include "http/control.h"
#include "http/hold.h"
#include "http/operator.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"

#include <errno.h>

#define RELOAD_HOLD_MS 60000 /* the workers have long confirmed, or never will */

/* ---- drain and resume ---- */

static enum MHD_Result set_drained(struct request *request, bool drained)
{
        enum scheduler_mode mode = gateway_set_drained(request->server->gateway, drained);

        if (mode == SCHEDULER_STOPPING && !drained) {
                request_refuse(request, 503, "draining",
                               "solvegate is being stopped, and takes no jobs any more");
                return reply_refusal(request);
        }
        return reply_json(request, JSON_OBJECT({"state", json_new_string(control_state(request))}),
                          -1);
}

enum MHD_Result control_drain_handle(struct request *request)
{
        return set_drained(request, true);
}

enum MHD_Result control_resume_handle(struct request *request)
{
        return set_drained(request, false);
}

/* ---- reload ---- */

static bool arm(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;

        return hooks->reload(hooks->arg, &request->waiter, &request->reload_number);
}

static bool disarm(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;

        return hooks->unwait(hooks->arg, &request->waiter, request->reload_number);
}

static enum MHD_Result reply_reloaded(struct request *request, const struct operator_reload *reload)
{
        return reply_json(
                request,
                JSON_OBJECT({"ok", json_new_bool(true)},
                            {"message", json_new_string(reload->message)},
                            {"restart_needed", json_new_string(reload->restart)},
                            {"warnings", control_warnings(&reload->warnings)},
                            {"warnings_total", json_new_integer((int64_t)reload->warnings.count)}),
                -1);
}

enum MHD_Result control_reload_handle(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;
        const struct hold hold = {.what = HOLD_FOR_RELOAD,
                                  .level = WAITER_FINAL,
                                  .hold_ms = RELOAD_HOLD_MS,
                                  .arm = arm,
                                  .disarm = disarm};
        struct operator_reload reload = {0};
        int r = -ESHUTDOWN;

        if (request_hold(request, &hold))
                return MHD_YES;
        /* Who cannot be held has asked for it all the same. */
        if (request->reload_number == 0)
                (void)hooks->reload(hooks->arg, NULL, &request->reload_number);
        if (request->reload_number > 0)
                r = hooks->outcome(hooks->arg, request->reload_number, &reload);
        if (r == -ESHUTDOWN)
                request_refuse(
                        request, 503, "draining",
                        "solvegate is being stopped; whether the configuration was read again is "
                        "in the log");
        else if (r < 0)
                request_refuse(request, 503, "not_reloaded",
                               "how the reload went is not known here; /control/status says it "
                               "once it has ended");
        else if (!reload.ok)
                request_refuse(request, 422, "not_reloaded", "%s", reload.message);
        if (request->refusal.status != 0)
                return reply_refusal(request);
        return reply_reloaded(request, &reload);
}
