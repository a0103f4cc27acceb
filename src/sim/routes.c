/*
 * routes: the table of paths, see request.h.
 */
#include "sim/request.h"

#include <stdio.h>
#include <string.h>

static const struct sim_route routes[] = {
        {"/api/solve", "POST", 1, SIM_ENDPOINT_SOLVE, sim_api_solve},
        {"/api/status", "GET", 1, SIM_ENDPOINT_STATUS, sim_api_status},
        {"/api/account/balance", "GET", 1, SIM_ENDPOINT_BALANCE, sim_api_balance},
        {"/solve", "POST", 2, SIM_ENDPOINT_SOLVE, sim_api_solve},
        {"/status", "GET", 2, SIM_ENDPOINT_STATUS, sim_api_status},
        {"/balance", "GET", 2, SIM_ENDPOINT_BALANCE, sim_api_balance},
        {"/sim/counters", "GET", 0, SIM_ENDPOINT_SOLVE, sim_control_counters},
        {"/sim/requests", "GET", 0, SIM_ENDPOINT_SOLVE, sim_control_requests},
        {"/sim/reset", "POST", 0, SIM_ENDPOINT_SOLVE, sim_control_reset},
        {"/sim/faults", "POST", 0, SIM_ENDPOINT_SOLVE, sim_control_add_faults},
        {"/sim/strays", "POST", 0, SIM_ENDPOINT_SOLVE, sim_control_order_strays},
        {"/sim/faults", "DELETE", 0, SIM_ENDPOINT_SOLVE, sim_control_clear_faults},
};

const struct sim_route *sim_route_find(int api, const char *path, const char *method,
                                       char ret_allow[static 32])
{
        ret_allow[0] = '\0';
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
                const struct sim_route *route = &routes[i];
                if ((route->api != 0 && route->api != api) || strcmp(route->path, path) != 0)
                        continue;
                if (strcmp(route->method, method) == 0)
                        return route;
                size_t used = strlen(ret_allow);
                (void)snprintf(ret_allow + used, 32 - used, "%s%s", used > 0 ? ", " : "",
                               route->method);
        }
        return NULL;
}
