/*
 * gateway_service: the life of the gateway, for the daemon: start, ticks, stop, and its part on
 * each worker's loop.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_SERVICE_H
#define SOLVEGATE_GATEWAY_GATEWAY_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct arbiter;
struct config;
struct credential;
struct forwarder;
struct gateway;
struct loop;
struct mail;
struct policy;
struct recover_hook;
struct results;
struct store;
struct strbuf;

/* ---- the process ---- */

/* What a gateway stores in, and what decides for it. */
struct gateway_backends {
        struct store *store; /* open; NULL: nothing is stored */
        int (*make_arbiter)(struct results *results, struct arbiter **ret_arbiter);
};

/*
 * Makes a gateway with what the store has. It closes the store, on failure too. hook, if not NULL,
 * is called with the progress of loading. config is in force until gateway_apply() replaces it.
 * credentials has one for each upstream, in order; those that are taken over become NULL, and the
 * caller frees the others. On failure returns -errno, and writes to problem what strerror() could
 * not tell.
 */
int gateway_new(const struct config *config, const struct gateway_backends *backends,
                struct credential **credentials, const struct recover_hook *hook,
                struct strbuf *problem, struct gateway **ret_gateway);

/* Starts the writers of the audit and the store. Requires that signals are blocked. Returns 0 or
 * -errno. */
int gateway_start(struct gateway *gateway);

/* Writes what is left and frees. Requires that every worker is gone. Takes NULL. */
void gateway_free(struct gateway *gateway);

/* Returns the policy that is in force, without a reference of its own. Thread: main. */
struct policy *gateway_policy(struct gateway *gateway);

/* For log rotation: the audit continues in a new file. Thread: any. */
void gateway_reopen_audit(struct gateway *gateway);

/*
 * Fails queued jobs whose deadline has passed, and logs changes of the store's and the audit's
 * health. Call it five times a second. Thread: main, the same loop as of gateway_drain().
 */
void gateway_tick(struct gateway *gateway, struct loop *loop);

/*
 * Accepts and sends no more jobs: what waits is left for the next start if it is stored, else it is
 * cancelled. Posts idle to loop once nothing is in flight. Thread: main.
 */
void gateway_drain(struct gateway *gateway, struct loop *loop, struct mail *idle);

/* limits.drain_timeout has passed: logs how many jobs are left, and what follows for them. Thread:
 * main. */
void gateway_log_unfinished(struct gateway *gateway);

/* The time to stop has come: the store tries everything once only. Thread: any. */
void gateway_give_up(struct gateway *gateway);

/* Returns whether a record of a job is on its way to the store. Thread: any. */
bool gateway_writes(struct gateway *gateway);

/* ---- on a worker's loop; Thread: the loop's, unless a function says otherwise ---- */

/* Makes the forwarder of a loop. Returns 0 or -ENOMEM. Thread: main, before the loop runs. */
int gateway_new_forwarder(struct gateway *gateway, struct loop *loop,
                          struct forwarder **ret_forwarder);

/* Requires that nothing is in flight. Takes NULL. Thread: main, after the loop has run. */
void gateway_free_forwarder(struct forwarder *forwarder);

/* Continues all jobs that were accepted before the start. Thread: main, before the loop runs. */
void gateway_resume(struct forwarder *forwarder);

/* To be called when the loop runs. The first worker starts the parser, and gets the balances of all
 * upstreams, so that a wrong key is known before the first job. */
void gateway_begin(struct gateway *gateway, struct forwarder *forwarder, bool is_first);

/* Sends what may be sent now. */
void gateway_kick(struct forwarder *forwarder);

/* To be called after a reload: the next request to each upstream uses a new connection. The first
 * worker gets the balances of upstreams that are new or have changed. */
void gateway_renew(struct gateway *gateway, struct forwarder *forwarder, bool is_first);

/* The time to stop has come: ends everything in flight, see forwarder_abort(). Also before the loop
 * runs. */
void gateway_abort(struct forwarder *forwarder);

#endif
