/*
 * counters: see counters.h.
 */
#include "sim/counters.h"

#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

struct gauge {
        uint64_t now;
        uint64_t max;
};

struct sim_counters {
        pthread_mutex_t mutex;
        uint64_t values[SIM_COUNTERS];   /* guarded by mutex */
        struct gauge gauges[SIM_GAUGES]; /* guarded by mutex */
};

static const char *const counter_names[SIM_COUNTERS] = {
        "solve_requests", "status_requests", "balance_requests", "accepted",         "charged",
        "solved",         "unauthorized",    "rejected",         "over_concurrency", "faults",
        "solve_bytes",    "connections",     "strays",           "strays_missed",
};

static const struct {
        const char *now;
        const char *max;
} gauge_names[SIM_GAUGES] = {
        {"in_flight", "in_flight_max"},
        {"requests_now", "requests_max"},
        {"strays_waiting", "strays_waiting_max"},
};

int sim_counters_new(struct sim_counters **ret_counters)
{
        struct sim_counters *counters = calloc(1, sizeof *counters);

        if (!counters)
                return -ENOMEM;
        (void)pthread_mutex_init(&counters->mutex, NULL);
        *ret_counters = counters;
        return 0;
}

void sim_counters_free(struct sim_counters *counters)
{
        if (!counters)
                return;
        (void)pthread_mutex_destroy(&counters->mutex);
        free(counters);
}

void sim_counters_add(struct sim_counters *counters, enum sim_counter which, uint64_t n)
{
        (void)pthread_mutex_lock(&counters->mutex);
        counters->values[which] += n;
        (void)pthread_mutex_unlock(&counters->mutex);
}

void sim_counters_raise(struct sim_counters *counters, enum sim_gauge which)
{
        (void)pthread_mutex_lock(&counters->mutex);
        struct gauge *gauge = &counters->gauges[which];
        gauge->now++;
        if (gauge->now > gauge->max)
                gauge->max = gauge->now;
        (void)pthread_mutex_unlock(&counters->mutex);
}

void sim_counters_lower(struct sim_counters *counters, enum sim_gauge which)
{
        (void)pthread_mutex_lock(&counters->mutex);
        counters->gauges[which].now--;
        (void)pthread_mutex_unlock(&counters->mutex);
}

uint64_t sim_counters_get(struct sim_counters *counters, enum sim_counter which)
{
        (void)pthread_mutex_lock(&counters->mutex);
        uint64_t value = counters->values[which];
        (void)pthread_mutex_unlock(&counters->mutex);
        return value;
}

void sim_counters_reset(struct sim_counters *counters)
{
        (void)pthread_mutex_lock(&counters->mutex);
        for (size_t i = 0; i < SIM_COUNTERS; i++)
                counters->values[i] = 0;
        for (size_t i = 0; i < SIM_GAUGES; i++)
                counters->gauges[i].max = counters->gauges[i].now;
        (void)pthread_mutex_unlock(&counters->mutex);
}

void sim_counters_write(struct sim_counters *counters, struct strbuf *out)
{
        (void)pthread_mutex_lock(&counters->mutex);
        for (size_t i = 0; i < SIM_COUNTERS; i++)
                (void)strbuf_printf(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', counter_names[i],
                                    counters->values[i]);
        for (size_t i = 0; i < SIM_GAUGES; i++)
                (void)strbuf_printf(out, ",\"%s\":%" PRIu64 ",\"%s\":%" PRIu64, gauge_names[i].now,
                                    counters->gauges[i].now, gauge_names[i].max,
                                    counters->gauges[i].max);
        (void)strbuf_puts(out, "}");
        (void)pthread_mutex_unlock(&counters->mutex);
}
