/*
 * account: one upstream as configured, with its credential and what it has under way.
 */
#ifndef SOLVEGATE_UPSTREAM_ACCOUNT_H
#define SOLVEGATE_UPSTREAM_ACCOUNT_H

struct config_upstream;
struct credential;

struct account {
        const struct config_upstream *config; /* lives as long as the configuration */
        struct credential *credential;        /* owned; immutable */
        int in_flight; /* jobs sent and not final; guarded by the scheduler's mutex */
};

#endif
