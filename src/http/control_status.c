/*
 * control_status: GET /control/status: the daemon on one page.
 */
#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "dispatch/scheduler.h"
#include "gateway/gateway.h"
#include "http/control.h"
#include "http/listener.h"
#include "http/operator.h"
#include "http/reply.h"
#include "http/server_private.h"
#include "job/state.h"

#include <stdio.h>
#include <unistd.h>

#define URL_BYTES_MAX (LISTENER_NAME_BYTES_MAX + 16)

const char *control_parameter(const struct request *request, const char *name)
{
        return MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *control_state(const struct request *request)
{
        static const char *const names[] = {
                [SCHEDULER_TAKING] = "taking",
                [SCHEDULER_DRAINED] = "drained",
                [SCHEDULER_STOPPING] = "stopping",
        };

        return names[scheduler_mode(gateway_scheduler(request->server->gateway))];
}

void control_add_warnings(const struct operator_warnings *warnings, const char *name,
                          const char *total_name, struct strbuf *json)
{
        json_open_array(json, name);
        for (size_t i = 0; i < warnings->shown; i++)
                json_add_text(json, NULL, warnings->texts[i]);
        json_close_array(json);
        json_add_integer(json, total_name, (int64_t)warnings->count);
}

/*
 * Why it is not ready, in words for operators: what /readyz says is for tools, which are told to
 * come again. message is that, for the rest.
 */
static const char *why_not_ready(const struct request *request, enum gateway_verdict verdict,
                                 char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        const struct gateway *gateway = request->server->gateway;

        switch (scheduler_mode(gateway_scheduler(request->server->gateway))) {
        case SCHEDULER_TAKING:
                break;
        case SCHEDULER_DRAINED:
                return "drained by an operator's order; solvegatectl resume has it take jobs again";
        case SCHEDULER_STOPPING:
                return "being stopped; what is under way is finished first";
        }
        if (verdict == GATEWAY_STORE && gateway_store_well(gateway))
                return "the audit cannot be written (audit.file), so no job is taken; the log says "
                       "why, and it is tried again all the time";
        if (verdict == GATEWAY_STORE) {
                char problem[GATEWAY_STORE_PROBLEM_BYTES_MAX];
                gateway_store_problem(gateway, problem);
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "jobs cannot be stored (state_directory), so none is accepted: %s",
                               problem);
                return message;
        }
        if (verdict == GATEWAY_NO_UPSTREAM)
                return "every upstream refuses its account (wrong key, no balance, or the plan is "
                       "over), or its url leads back to solvegate, so no job is taken; "
                       "solvegatectl "
                       "upstreams shows them";
        return message;
}

static void add_process(const struct request *request, const struct operator_view *view,
                        struct strbuf *json)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX] = "";
        enum gateway_verdict verdict = gateway_check(request->server->gateway, NULL, message);

        json_add_text(json, "version", SOLVEGATE_VERSION);
        json_add_integer(json, "pid", getpid());
        json_add_time(json, "started", view->started_wall_ms);
        json_add_seconds(json, "uptime", clock_monotonic_ms() - view->started_ms);
        json_add_text(json, "state", control_state(request));
        json_add_bool(json, "ready", verdict == GATEWAY_OK);
        json_add_text(json, "message", why_not_ready(request, verdict, message));
        json_open_array(json, "listeners");
        for (size_t i = 0; i < view->listener_count; i++) {
                const struct listener *listener = &view->listeners[i];
                char url[URL_BYTES_MAX];
                (void)snprintf(url, sizeof url, "%s://%s", listener->scheme, listener->name);
                json_add_text(json, NULL, url);
        }
        json_close_array(json);
}

static void add_configuration(const struct operator_view *view, struct strbuf *json)
{
        const struct operator_reload *reload = &view->reload;

        json_open_object(json, "configuration");
        json_add_text(json, "file", view->file);
        json_add_time(json, "loaded", view->loaded_wall_ms);
        if (reload->at_wall_ms > 0) {
                json_open_object(json, "last_reload");
                json_add_time(json, "at", reload->at_wall_ms);
                json_add_bool(json, "ok", reload->ok);
                json_add_text(json, "message", reload->message);
                json_close_object(json);
        } else {
                json_add_null(json, "last_reload");
        }
        json_add_text(json, "restart_needed", reload->restart);
        json_close_object(json);
}

static void add_load(struct gateway *gateway, const struct operator_view *view,
                     const struct scheduler_figures *figures, struct strbuf *json)
{
        const struct config *config = gateway_config(gateway);
        struct scheduler_account account;
        int64_t in_flight = 0;

        for (size_t i = 0; scheduler_account(gateway_scheduler(gateway), i, &account); i++)
                in_flight += account.in_flight;
        json_open_object(json, "connections");
        json_add_integer(json, "open", atomic_load(&view->connections->connections));
        json_add_integer(json, "max", view->connections->connections_max);
        json_close_object(json);
        json_open_object(json, "queue");
        json_add_integer(json, "jobs", (int64_t)figures->queued_jobs);
        json_add_integer(json, "purchases", (int64_t)figures->queued_purchases);
        json_add_integer(json, "max", config->limits.queue_jobs);
        json_add_integer(json, "bytes", gateway_body_bytes(gateway));
        json_add_integer(json, "max_bytes", config->limits.queue_bytes);
        json_close_object(json);
        json_add_integer(json, "in_flight", in_flight);
}

static void add_ends(const struct scheduler_figures *figures, struct strbuf *json)
{
        json_open_object(json, "jobs");
        for (int error = 0; error < SCHEDULER_ENDS; error++)
                json_add_integer(json,
                                 error == JOB_ERROR_NONE ? "solved"
                                                         : job_error_code((enum job_error)error),
                                 figures->ended[error]);
        json_close_object(json);
        json_open_object(json, "results");
        for (int source = 0; source < SCHEDULER_SOURCES; source++)
                json_add_integer(json, job_source_name((enum job_source)source),
                                 figures->solved[source]);
        json_close_object(json);
}

/* What solvegate writes, and whether it can. */
static void add_written(const struct gateway *gateway, struct strbuf *json)
{
        const struct config *config = gateway_config(gateway);
        char problem[GATEWAY_STORE_PROBLEM_BYTES_MAX];

        json_open_object(json, "store");
        json_add_text(json, "durability", config->durability == DURABILITY_FULL ? "full" : "none");
        json_add_text(json, "directory", config->state_directory);
        json_add_bool(json, "well", gateway_store_well(gateway));
        gateway_store_problem(gateway, problem);
        json_add_text(json, "problem", gateway_store_well(gateway) ? "" : problem);
        json_close_object(json);
        json_open_object(json, "audit");
        json_add_text(json, "file", config->audit.file);
        json_add_bool(json, "well", gateway_audit_well(gateway));
        json_close_object(json);
        json_open_object(json, "log");
        json_add_integer(json, "lost", log_lost());
        json_close_object(json);
}

enum MHD_Result control_status_handle(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;
        struct gateway *gateway = request->server->gateway;
        struct scheduler_figures figures;
        struct operator_view view;
        struct strbuf json;

        hooks->view(hooks->arg, &view);
        scheduler_figures(gateway_scheduler(gateway), &figures);
        strbuf_init(&json, CONTROL_BYTES_MAX);
        json_open_object(&json, NULL);
        add_process(request, &view, &json);
        add_configuration(&view, &json);
        control_add_warnings(&view.attention, "attention", "attention_total", &json);
        add_load(gateway, &view, &figures, &json);
        add_ends(&figures, &json);
        add_written(gateway, &json);
        control_add_upstreams(request, &json);
        json_close_object(&json);
        return reply_json(request, &json, -1);
}
