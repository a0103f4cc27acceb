/*
 * gateway_stats: current values and counters, for metrics, status pages and clients.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_STATS_H
#define SOLVEGATE_GATEWAY_GATEWAY_STATS_H

#include "dispatch/charges.h"
#include "dispatch/scheduler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct gateway;
struct quota_figures;

/* Fills in what a client has used and has in flight. Thread: any. */
void gateway_usage(struct gateway *gateway, struct client *client,
                   struct scheduler_usage *ret_usage, struct quota_figures *ret_figures);

/* Calls row() for each pair of client and upstream with charges, as charges_each(). Thread: any. */
void gateway_each_charge(struct gateway *gateway,
                         void (*row)(void *arg, const struct charges_row *row), void *arg);

struct gateway_stats {
        struct scheduler_figures jobs;
        const struct metric_buckets *solve_buckets; /* the bounds of jobs.solve_s; static */
        int64_t in_flight;                          /* at all upstreams */
        int64_t body_bytes;                         /* memory that request bodies take */
        int64_t bodies_parsed;                      /* by threads, since the start */
};

/* Fills in all of it. Thread: main. */
void gateway_stats(struct gateway *gateway, struct gateway_stats *ret_stats);

/* Fills in the upstream with this index, from 0 on. Returns false behind the last one. The indexes
 * stay the same until the next reload or gateway_tick(). Thread: main. */
bool gateway_upstream(struct gateway *gateway, size_t index, struct scheduler_account *ret_account);

/* Returns whether the store can be written, and the audit file. Thread: any. */
bool gateway_store_healthy(const struct gateway *gateway);
bool gateway_audit_healthy(const struct gateway *gateway);

/* Copies the last error of the store, or an empty string. Thread: any. */
#define GATEWAY_STORE_PROBLEM_BYTES_MAX 256
void gateway_store_problem(const struct gateway *gateway,
                           char ret_problem[static GATEWAY_STORE_PROBLEM_BYTES_MAX]);

#endif
