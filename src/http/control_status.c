/*
 * control_status: GET /control/status: the daemon on one page.
 */
#include "base/clock.h"
#include "base/json_value.h"
#include "base/log.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "gateway/gateway_operator.h"
#include "gateway/gateway_stats.h"
#include "http/control.h"
#include "http/listener.h"
#include "http/operator.h"
#include "http/reply.h"
#include "http/request_private.h"
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

        return names[gateway_mode(request->server->gateway)];
}

struct json_object *control_warnings(const struct operator_warnings *warnings)
{
        struct json_object *list = json_new_array();

        for (size_t i = 0; i < warnings->shown; i++)
                json_append(&list, json_new_string(warnings->texts[i]));
        return list;
}

/*
 * Why it is not ready, in words for operators: what /readyz says is for tools, which are told to
 * come again. message is that, for the rest.
 */
static const char *why_not_ready(const struct request *request, enum gateway_verdict verdict,
                                 char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        struct gateway *gateway = request->server->gateway;

        switch (gateway_mode(gateway)) {
        case SCHEDULER_TAKING:
                break;
        case SCHEDULER_DRAINED:
                return "drained by an operator's order; solvegatectl resume has it take jobs again";
        case SCHEDULER_STOPPING:
                return "being stopped; what is under way is finished first";
        }
        if (verdict == GATEWAY_STORE && gateway_store_healthy(gateway))
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

static struct json_object *listeners_json(const struct operator_view *view)
{
        struct json_object *list = json_new_array();

        for (size_t i = 0; i < view->listener_count; i++) {
                const struct listener *listener = &view->listeners[i];
                char url[URL_BYTES_MAX];
                (void)snprintf(url, sizeof url, "%s://%s", listener->scheme, listener->name);
                json_append(&list, json_new_string(url));
        }
        return list;
}

static struct json_object *reload_json(const struct operator_reload *reload)
{
        if (reload->at_wall_ms == 0)
                return NULL;
        return JSON_OBJECT({"at", json_new_time(reload->at_wall_ms)},
                           {"ok", json_new_bool(reload->ok)},
                           {"message", json_new_string(reload->message)});
}

static struct json_object *configuration_json(const struct operator_view *view)
{
        return JSON_OBJECT({"file", json_new_string(view->file)},
                           {"loaded", json_new_time(view->loaded_wall_ms)},
                           {"last_reload", reload_json(&view->reload)},
                           {"restart_needed", json_new_string(view->reload.restart)});
}

static struct json_object *connections_json(const struct operator_view *view)
{
        return JSON_OBJECT({"open", json_new_integer(atomic_load(&view->connections->connections))},
                           {"max", json_new_integer(view->connections->connections_max)});
}

static struct json_object *queue_json(const struct gateway *gateway,
                                      const struct gateway_stats *figures)
{
        const struct config *config = gateway_config(gateway);

        return JSON_OBJECT({"jobs", json_new_integer((int64_t)figures->jobs.queued_jobs)},
                           {"purchases", json_new_integer((int64_t)figures->jobs.queued_purchases)},
                           {"max", json_new_integer(config->limits.queue_jobs)},
                           {"bytes", json_new_integer(figures->body_bytes)},
                           {"max_bytes", json_new_integer(config->limits.queue_bytes)});
}

static struct json_object *ends_json(const struct scheduler_figures *figures)
{
        struct json_object *jobs = json_new_object();

        for (int error = 0; error < SCHEDULER_ENDS; error++)
                json_set(&jobs,
                         error == JOB_ERROR_NONE ? "solved" : job_error_code((enum job_error)error),
                         json_new_integer(figures->ended[error]));
        return jobs;
}

static struct json_object *results_json(const struct scheduler_figures *figures)
{
        struct json_object *results = json_new_object();

        for (int source = 0; source < SCHEDULER_SOURCES; source++)
                json_set(&results, job_source_name((enum job_source)source),
                         json_new_integer(figures->solved[source]));
        return results;
}

static struct json_object *store_json(const struct gateway *gateway)
{
        const struct config *config = gateway_config(gateway);
        char problem[GATEWAY_STORE_PROBLEM_BYTES_MAX];
        bool well = gateway_store_healthy(gateway);

        gateway_store_problem(gateway, problem);
        return JSON_OBJECT(
                {"durability",
                 json_new_string(config->durability == DURABILITY_FULL ? "full" : "none")},
                {"directory", json_new_string(config->state_directory)},
                {"well", json_new_bool(well)}, {"problem", json_new_string(well ? "" : problem)});
}

static struct json_object *audit_json(const struct gateway *gateway)
{
        return JSON_OBJECT({"file", json_new_string(gateway_config(gateway)->audit.file)},
                           {"well", json_new_bool(gateway_audit_healthy(gateway))});
}

enum MHD_Result control_status_handle(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;
        struct gateway *gateway = request->server->gateway;
        char message[GATEWAY_MESSAGE_BYTES_MAX] = "";
        enum gateway_verdict verdict = gateway_check(gateway, NULL, message);
        struct gateway_stats figures;
        struct operator_view view;

        hooks->view(hooks->arg, &view);
        gateway_stats(gateway, &figures);
        return reply_json(
                request,
                JSON_OBJECT({"version", json_new_string(SOLVEGATE_VERSION)},
                            {"pid", json_new_integer(getpid())},
                            {"started", json_new_time(view.started_wall_ms)},
                            {"uptime", json_new_seconds(clock_monotonic_ms() - view.started_ms)},
                            {"state", json_new_string(control_state(request))},
                            {"ready", json_new_bool(verdict == GATEWAY_OK)},
                            {"message", json_new_string(why_not_ready(request, verdict, message))},
                            {"listeners", listeners_json(&view)},
                            {"configuration", configuration_json(&view)},
                            {"attention", control_warnings(&view.attention)},
                            {"attention_total", json_new_integer((int64_t)view.attention.count)},
                            {"connections", connections_json(&view)},
                            {"queue", queue_json(gateway, &figures)},
                            {"in_flight", json_new_integer(figures.in_flight)},
                            {"jobs", ends_json(&figures.jobs)},
                            {"results", results_json(&figures.jobs)},
                            {"store", store_json(gateway)}, {"audit", audit_json(gateway)},
                            {"log", JSON_OBJECT({"lost", json_new_integer(log_lost())})},
                            {"upstreams", control_upstreams(request)}),
                -1);
}
