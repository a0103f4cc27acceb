/*
 * endpoint: see endpoint.h.
 */
#include "sim/endpoint.h"

static const char *const names[SIM_ENDPOINTS] = {"solve", "status", "balance"};

const char *sim_endpoint_name(enum sim_endpoint endpoint)
{
        return names[endpoint];
}
