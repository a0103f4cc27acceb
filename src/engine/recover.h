/*
 * recover: takes up what the store has kept, at the start.
 *
 * Jobs that wait go on in their order, accepted ones are polled again, final ones can be asked for.
 * One that was being sent may have been charged: it is outcome_unknown, or waits again where
 * retry.on_unknown says "retry" and its body is there. One that waits for a site that is not listed
 * any more is cancelled.
 */
#ifndef SOLVEGATE_ENGINE_RECOVER_H
#define SOLVEGATE_ENGINE_RECOVER_H

struct charges;
struct config;
struct scheduler;
struct sites;
struct store;
struct strbuf;

/* What is recovered, and where it goes. */
struct recovery {
        struct store *store;
        const struct config *config;
        const struct sites *sites;
        struct scheduler *scheduler;
        struct charges *charges;
};

/* Before any thread is started. Returns 0 or -errno, with a sentence in problem. */
int recover(const struct recovery *recovery, struct strbuf *problem);

#endif
