/*
 * gateway: what the HTTP side calls. One for the process, shared by all workers.
 *
 * Owns what the workers share: the accounts, the site list, the scheduler, the results, the
 * bodies' ceiling and the balance.
 */
#ifndef SOLVEGATE_ENGINE_GATEWAY_H
#define SOLVEGATE_ENGINE_GATEWAY_H

#include <stdint.h>

struct balance;
struct body;
struct config;
struct credential;
struct forwarder;
struct gateway;
struct job;
struct results;
struct scheduler;

#define GATEWAY_MESSAGE_BYTES_MAX 1024

/* Why a job was not taken. */
enum gateway_verdict {
        GATEWAY_OK,
        GATEWAY_BAD_JSON,
        GATEWAY_BAD_JOB,
        GATEWAY_JOB_METHOD,
        GATEWAY_SITE,
        GATEWAY_TOO_LARGE,
        GATEWAY_QUEUE_FULL,
        GATEWAY_DRAINING,
        GATEWAY_NO_MEMORY,
};

/*
 * Makes a gateway. config must outlive it. credentials has one for each upstream, in order; they
 * are taken over, whether it succeeds or not. Returns 0 or -errno.
 */
int gateway_new(const struct config *config, struct credential **credentials,
                struct gateway **ret_gateway);

/* Requires that every worker is gone. Takes NULL. */
void gateway_free(struct gateway *gateway);

/*
 * Before a body is read: makes room for length bytes (BODY_LENGTH_UNKNOWN for chunked), or says
 * why not. The caller frees the body. Thread: any.
 */
enum gateway_verdict gateway_admit(struct gateway *gateway, int64_t length, struct body **ret_body,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/* Turns a failure of body_append() into a verdict and a message. Thread: any. */
enum gateway_verdict gateway_body_verdict(const struct gateway *gateway, int error,
                                          char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/*
 * Takes a job. On GATEWAY_OK it took over the body, *ret_job is a reference for the caller, and
 * the job may be sent, or even final, already. Otherwise the body is still the caller's and
 * message is one sentence for the client.
 * Thread: the forwarder's loop.
 */
enum gateway_verdict gateway_submit(struct gateway *gateway, struct forwarder *forwarder,
                                    struct body *body, struct job **ret_job,
                                    char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/*
 * Fails queued jobs whose deadline has passed and forgets expired results. Thread: main, whose loop
 * is told by scheduler_drain() when all is done, and so not before these jobs are final.
 */
void gateway_tick(struct gateway *gateway);

/* Cancels every job that waits, once the scheduler takes no more of them. Thread: main, likewise.
 */
void gateway_cancel_waiting(struct gateway *gateway);

struct results *gateway_results(struct gateway *gateway);
struct scheduler *gateway_scheduler(struct gateway *gateway);
struct balance *gateway_balance(struct gateway *gateway);
const struct config *gateway_config(const struct gateway *gateway);

#endif
