/*
 * gateway_private: what the parts of the gateway share; nobody else includes it.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_PRIVATE_H
#define SOLVEGATE_GATEWAY_GATEWAY_PRIVATE_H

#include "config/config.h"
#include "gateway/memory_return.h"
#include "job/body.h"
#include "upstream/account.h"

#include <stddef.h>

#define AUDIT_PROBLEM_BYTES_MAX 256

struct audit;
struct balances;
struct charges;
struct clients;
struct parser;
struct policy;
struct results;
struct scheduler;
struct store;
struct throttle;

enum gateway_store_state {
        GATEWAY_STORE_HEALTHY,
        GATEWAY_STORE_FAILING,
        GATEWAY_STORE_DETACHED, /* see store/store.h */
};

struct gateway {
        struct config_in_force config; /* main replaces it */
        struct clients *clients;
        struct policy *policy; /* a reference; main's */
        struct throttle *throttle;
        struct audit *audit;
        struct accounts accounts;
        struct results *results;
        struct store *store; /* NULL: nothing is kept */
        struct charges *charges;
        struct scheduler *scheduler;
        struct arbiter *arbiter;
        struct body_pool bodies;
        struct parser *parser;
        struct balances *balances;
        _Atomic int64_t next_number;              /* of a purchase, without a store */
        enum gateway_store_state store_state;     /* as it was logged; main's */
        bool audit_sick;                          /* it was said so; main's */
        unsigned audit_removals;                  /* that were logged; main's */
        char audit_told[AUDIT_PROBLEM_BYTES_MAX]; /* what was; main's */
        int64_t ticked_ms;                        /* when gateway_tick() last ran, or 0; main's */
        int64_t expire_from_ms; /* no job is ended for being late before that; main's */

        /* of gateway_sweep(); main's */
        struct memory_return memory;
        int64_t paid_early_told;    /* see struct results_figures; that were logged */
        int64_t tell_paid_early_ms; /* not again before this */
};

#endif
