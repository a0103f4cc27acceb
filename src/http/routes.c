/*
 * routes: see routes.h. Tools find both generations' paths, whatever the upstream speaks.
 */
#include "http/routes.h"

#include "http/control.h"
#include "http/handlers.h"
#include "http/route.h"

#include <string.h>

static const struct route tool_routes[] = {
        {"/api/status", "/api", ROUTE_ASKS, AUTH_OPTIONAL, status_handle, status_cancel,
         TALLY_STATUS},
        {"/api/solve", "/api", ROUTE_SOLVES, AUTH_REQUIRED, solve_handle, NULL, TALLY_SOLVE},
        {"/api/account/balance", "/api", ROUTE_ASKS, AUTH_REQUIRED, balance_handle, NULL,
         TALLY_BALANCE},
        {"/api/usage", "/api", ROUTE_ASKS, AUTH_REQUIRED, usage_handle, NULL, TALLY_USAGE},
        {"/status", "", ROUTE_ASKS, AUTH_OPTIONAL, status_handle, status_cancel, TALLY_STATUS},
        {"/solve", "", ROUTE_SOLVES, AUTH_REQUIRED, solve_handle, NULL, TALLY_SOLVE},
        {"/balance", "", ROUTE_ASKS, AUTH_REQUIRED, balance_handle, NULL, TALLY_BALANCE},
        {"/usage", "", ROUTE_ASKS, AUTH_REQUIRED, usage_handle, NULL, TALLY_USAGE},
};

static const struct route operator_routes[] = {
        {"/metrics", "", ROUTE_ASKS, AUTH_NONE, metrics_handle, NULL, TALLY_METRICS},
        {"/healthz", "", ROUTE_ASKS, AUTH_NONE, health_handle, NULL, TALLY_HEALTHZ},
        {"/readyz", "", ROUTE_ASKS, AUTH_NONE, ready_handle, NULL, TALLY_READYZ},
};

static const struct route control_routes[] = {
        {"/metrics", "", ROUTE_ASKS, AUTH_NONE, metrics_handle, NULL, TALLY_METRICS},
        {"/healthz", "", ROUTE_ASKS, AUTH_NONE, health_handle, NULL, TALLY_HEALTHZ},
        {"/readyz", "", ROUTE_ASKS, AUTH_NONE, ready_handle, NULL, TALLY_READYZ},
        {"/control/status", "", ROUTE_ASKS, AUTH_NONE, control_status_handle, NULL, TALLY_CONTROL},
        {"/control/jobs", "", ROUTE_ASKS, AUTH_NONE, control_jobs_handle, NULL, TALLY_CONTROL},
        {"/control/job", "", ROUTE_ASKS, AUTH_NONE, control_job_handle, control_job_cancel,
         TALLY_CONTROL},
        {"/control/clients", "", ROUTE_ASKS, AUTH_NONE, control_clients_handle, NULL,
         TALLY_CONTROL},
        {"/control/usage", "", ROUTE_ASKS, AUTH_NONE, control_usage_handle, NULL, TALLY_CONTROL},
        {"/control/upstreams", "", ROUTE_ASKS, AUTH_NONE, control_upstreams_handle, NULL,
         TALLY_CONTROL},
        {"/control/balance", "", ROUTE_ASKS, AUTH_NONE, control_balance_handle, NULL,
         TALLY_CONTROL},
        {"/control/drain", "", ROUTE_ORDERS, AUTH_NONE, control_drain_handle, NULL, TALLY_CONTROL},
        {"/control/resume", "", ROUTE_ORDERS, AUTH_NONE, control_resume_handle, NULL,
         TALLY_CONTROL},
        {"/control/reload", "", ROUTE_ORDERS, AUTH_NONE, control_reload_handle, NULL,
         TALLY_CONTROL},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
        const struct route *routes;
        size_t count;
        const char *advice;
} tables[] = {
        [SERVER_FOR_TOOLS] = {tool_routes, COUNT(tool_routes),
                              "/api/solve, /api/status?id=ID, /api/account/balance or /api/usage"},
        [SERVER_FOR_OPERATORS] = {operator_routes, COUNT(operator_routes),
                                  "/metrics, /healthz or /readyz"},
        [SERVER_FOR_CONTROL] = {control_routes, COUNT(control_routes),
                                "/control/status or another address of docs/control.md"},
};

const struct route *route_find(enum server_kind kind, const char *path)
{
        const struct route *routes = tables[kind].routes;

        /* A base URL with a slash at its end gives two. */
        while (path[0] == '/' && path[1] == '/')
                path++;
        size_t len = strlen(path);
        if (len > 1 && path[len - 1] == '/')
                len--;
        for (size_t i = 0; i < tables[kind].count; i++) {
                if (strlen(routes[i].path) == len && memcmp(routes[i].path, path, len) == 0)
                        return &routes[i];
        }
        return NULL;
}

const char *route_advice(enum server_kind kind, const char *path)
{
        if (kind == SERVER_FOR_TOOLS && route_find(SERVER_FOR_OPERATORS, path))
                return "the address that admin.address and admin.port in the configuration name, "
                       "or the admin socket";
        return tables[kind].advice;
}
