/*
 * counters: what the simulator received, took and charged.
 *
 * One mutex, held for a few instructions and never while another lock is taken. Thread: any.
 */
#ifndef SOLVEGATE_SIM_COUNTERS_H
#define SOLVEGATE_SIM_COUNTERS_H

#include <stdint.h>

struct sim_counters;
struct strbuf;

/* Only ever grow, until a reset. */
enum sim_counter {
        SIM_COUNTER_SOLVE_REQUESTS,   /* keep these three in the order of enum sim_endpoint */
        SIM_COUNTER_STATUS_REQUESTS,  /* ... */
        SIM_COUNTER_BALANCE_REQUESTS, /* ... */
        SIM_COUNTER_ACCEPTED,         /* jobs taken */
        SIM_COUNTER_CHARGED,          /* jobs charged */
        SIM_COUNTER_SOLVED,           /* jobs solved */
        SIM_COUNTER_UNAUTHORIZED,     /* requests with a wrong key */
        SIM_COUNTER_REJECTED,         /* bodies that were no job */
        SIM_COUNTER_OVER_CONCURRENCY, /* jobs above the limit */
        SIM_COUNTER_FAULTS,           /* requests that a fault hit */
        SIM_COUNTER_SOLVE_BYTES,      /* of solve bodies, also of those cut short */
        SIM_COUNTER_CONNECTIONS,      /* that carried at least one API request */
        SIM_COUNTER_STRAYS,           /* stray responses, which come on idle connections */
        SIM_COUNTER_STRAYS_MISSED,    /* not written: the next request or the end came first */
};

#define SIM_COUNTERS 14

/* Rise and fall; the highest value is kept. */
enum sim_gauge {
        SIM_GAUGE_IN_FLIGHT, /* jobs accepted and not yet solved */
        SIM_GAUGE_REQUESTS,  /* API requests begun and not yet answered */
        SIM_GAUGE_STRAYS,    /* answers behind which a stray response is to come */
};

#define SIM_GAUGES 3

/* The caller frees *ret_counters with sim_counters_free(). Returns 0 or -ENOMEM. */
int sim_counters_new(struct sim_counters **ret_counters);
void sim_counters_free(struct sim_counters *counters);

void sim_counters_add(struct sim_counters *counters, enum sim_counter which, uint64_t n);
void sim_counters_raise(struct sim_counters *counters, enum sim_gauge which);
void sim_counters_lower(struct sim_counters *counters, enum sim_gauge which);
uint64_t sim_counters_get(struct sim_counters *counters, enum sim_counter which);

/* Zeroes the counters. A gauge keeps its value, which becomes its highest. */
void sim_counters_reset(struct sim_counters *counters);

/* Appends all of them as one JSON object; whether it fits, the buffer tells. */
void sim_counters_write(struct sim_counters *counters, struct strbuf *out);

#endif
