/*
 * routes: see routes.h. Tools find both generations' paths, whatever the upstream speaks.
 */
#include "http/routes.h"

#include <string.h>

static const struct route tool_routes[] = {
        {"/api/status", "/api", false, CALLER_CHECKED, status_handle, status_cancel, TALLY_STATUS},
        {"/api/solve", "/api", true, CALLER_NEEDED, solve_handle, NULL, TALLY_SOLVE},
        {"/api/account/balance", "/api", false, CALLER_NEEDED, balance_handle, NULL, TALLY_BALANCE},
        {"/api/usage", "/api", false, CALLER_NEEDED, usage_handle, NULL, TALLY_USAGE},
        {"/status", "", false, CALLER_CHECKED, status_handle, status_cancel, TALLY_STATUS},
        {"/solve", "", true, CALLER_NEEDED, solve_handle, NULL, TALLY_SOLVE},
        {"/balance", "", false, CALLER_NEEDED, balance_handle, NULL, TALLY_BALANCE},
        {"/usage", "", false, CALLER_NEEDED, usage_handle, NULL, TALLY_USAGE},
};

static const struct route operator_routes[] = {
        {"/metrics", "", false, CALLER_ANYBODY, metrics_handle, NULL, TALLY_METRICS},
        {"/healthz", "", false, CALLER_ANYBODY, health_handle, NULL, TALLY_HEALTHZ},
        {"/readyz", "", false, CALLER_ANYBODY, ready_handle, NULL, TALLY_READYZ},
};

static const struct route control_routes[] = {
        {"/metrics", "", false, CALLER_ANYBODY, metrics_handle, NULL, TALLY_METRICS},
        {"/healthz", "", false, CALLER_ANYBODY, health_handle, NULL, TALLY_HEALTHZ},
        {"/readyz", "", false, CALLER_ANYBODY, ready_handle, NULL, TALLY_READYZ},
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

const char *route_advice(enum server_kind kind)
{
        return tables[kind].advice;
}

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

const char *route_allow(const struct route *route)
{
        if (route->takes_body)
                return "POST";
        return route->cancel ? "GET, HEAD, DELETE" : "GET, HEAD";
}

bool route_allows(const struct route *route, const char *method)
{
        if (route->takes_body)
                return strcmp(method, "POST") == 0;
        if (strcmp(method, "DELETE") == 0)
                return route->cancel;
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool route_needs_client(const struct route *route, bool cancels)
{
        return route->caller == CALLER_NEEDED || (route->caller == CALLER_CHECKED && cancels);
}
