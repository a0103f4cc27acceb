/*
 * account: one upstream as configured, with its credential, what it has under way, and its health.
 */
#ifndef SOLVEGATE_UPSTREAM_ACCOUNT_H
#define SOLVEGATE_UPSTREAM_ACCOUNT_H

#include "upstream/breaker.h"

struct config_upstream;
struct credential;

struct account {
        const struct config_upstream *config; /* lives as long as the configuration */
        struct credential *credential;        /* owned; immutable */
        int in_flight;          /* jobs sent and not final; guarded by the scheduler's mutex */
        struct breaker breaker; /* guarded by the scheduler's mutex */
};

#endif
