/*
 * endpoint: the three things the vendor's API does, whatever their paths are.
 */
#ifndef SOLVEGATE_SIM_ENDPOINT_H
#define SOLVEGATE_SIM_ENDPOINT_H

enum sim_endpoint {
        SIM_ENDPOINT_SOLVE,
        SIM_ENDPOINT_STATUS,
        SIM_ENDPOINT_BALANCE,
};

#define SIM_ENDPOINTS 3

/* The name that faults and the list of requests use; static text. */
const char *sim_endpoint_name(enum sim_endpoint endpoint);

#endif
