/*
 * recover: takes up what the store has kept, at the start.
 *
 * Jobs that wait go on in their order, accepted ones are polled again, final ones can be asked for.
 * One that was being sent may have been charged: it is outcome_unknown, or waits again where
 * retry.on_unknown says "retry", its body is there, and its client has something left. A job that
 * waits for a site that is not listed any more, or of a client that is not, is cancelled.
 */
#ifndef SOLVEGATE_GATEWAY_RECOVER_H
#define SOLVEGATE_GATEWAY_RECOVER_H

#include "gateway/recover_progress.h"

struct arbiter;
struct audit;
struct charges;
struct clients;
struct config;
struct policy;
struct scheduler;
struct store;
struct store_filter;
struct strbuf;

/* What is recovered, and where it goes. */
struct recovery {
        struct store *store;
        const struct store_filter *filter; /* whose rows; NULL: everybody's */
        const struct audit *audit;         /* open */
        const struct config *config;
        const struct policy *policy;
        struct clients *clients; /* their quotas are filled from the ledger */
        struct scheduler *scheduler;
        struct arbiter *arbiter;
        struct charges *charges;
        const struct recover_hook *hook; /* or NULL */
};

/* Before any thread is started. Returns 0 or -errno, with a sentence in problem. */
int recover(const struct recovery *recovery, struct strbuf *problem);

#endif
