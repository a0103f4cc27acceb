/*
 * gateway: the engine as requests use it: submit a job, find it, wait for it, cancel it. One for
 * the process, shared by all workers. http/ and daemon/ include nothing below it but types.
 *
 * gateway.h          requests about jobs
 * gateway_stats.h    current values and counters: metrics, status, usage
 * gateway_operator.h lists of jobs, and the orders that operators give
 * balance.h          what each upstream last said about its account
 * gateway_service.h  start, ticks, stop, and the part on each worker's loop
 * gateway_reload.h   puts another configuration in force
 *
 * It owns what the workers share: the accounts, the scheduler, the results, the store, the limit on
 * bodies, and the balances.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_H
#define SOLVEGATE_GATEWAY_GATEWAY_H

#include "access/quota.h"
#include "access/sites.h"
#include "job/state.h"

#include <stdbool.h>
#include <stdint.h>

struct balances;
struct body;
struct client;
struct config;
struct forwarder;
struct gateway;
struct job;
struct loop;
struct parse;
struct parser;
struct policy;
struct submission;
struct throttle;
struct waiter;

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
        GATEWAY_DRAINING, /* it is being stopped */
        GATEWAY_DRAINED,  /* an operator has ordered it, until the order to resume */
        GATEWAY_NO_UPSTREAM,
        GATEWAY_STORE,
        GATEWAY_KEY_REUSED,
        GATEWAY_RATE_LIMITED,
        GATEWAY_QUOTA_EXCEEDED,
        GATEWAY_NO_MEMORY,
        GATEWAY_PENDING, /* it is not decided yet */
};

/* What is told of it besides. */
struct gateway_told {
        char message[GATEWAY_MESSAGE_BYTES_MAX]; /* one sentence for the client; not with OK */
        char host[SITE_HOST_BYTES_MAX]; /* of the job's site; "" if there is none to read */
        int64_t retry_after_s;          /* 0: nothing better is known than soon */
};

/* Whether a job of this client (NULL: anybody's) would be taken now; if not, message says why.
 * Thread: any. */
enum gateway_verdict gateway_check(struct gateway *gateway, const struct client *client,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/*
 * Before a client's body is read: makes room for length bytes (BODY_LENGTH_UNKNOWN for chunked), or
 * says why not. One that may repeat a job, since it has a key, is not refused for want of room for
 * another. The caller drops the body. Thread: any.
 */
enum gateway_verdict gateway_admit(struct gateway *gateway, struct client *client, int64_t length,
                                   bool may_repeat, struct body **ret_body,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/* Turns a failure of body_append() into a verdict and a message. Thread: any. */
enum gateway_verdict gateway_body_verdict(const struct gateway *gateway, int error,
                                          char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/* Submission options. */
struct gateway_order {
        const struct policy *policy; /* in force where it came */
        struct client *client;       /* whose it is */
        const char *address;         /* from where */
        const char *key;             /* its Idempotency-Key, or NULL */
        bool fresh;                  /* neither a cached result nor one under way is used */
        struct loop *loop;           /* the forwarder's */
};

/* What became of a job that was submitted. */
struct gateway_submission {
        struct job *job;            /* OK: a reference; else NULL */
        struct submission *pending; /* PENDING: the caller's; else NULL */
        struct gateway_told told;
};

/*
 * Submits a job whose body has been parsed (job/parser.h). On GATEWAY_OK the job may be sent, or
 * even final, already; its ID may be returned once gateway_is_durable() returns true. It may be an
 * older job of the client, with the same key and body. On GATEWAY_PENDING it waits for the
 * arbiter's decision, and the caller for gateway_submission_wait(). The parse has a digest if the
 * order has a key. The caller keeps it. Thread: the forwarder's loop.
 */
enum gateway_verdict gateway_submit(struct gateway *gateway, struct forwarder *forwarder,
                                    const struct gateway_order *order, const struct parse *parse,
                                    struct gateway_submission *ret);

/* Arms a waiter until a pending job is decided about. Returns false if it is, and no mail will be
 * sent. And disarms it: false when its mail is on the way. Thread: the forwarder's loop, as for the
 * next two. */
bool gateway_submission_wait(struct submission *pending, struct waiter *waiter);
bool gateway_submission_unwait(struct submission *pending, struct waiter *waiter);

/* Takes the decision, as gateway_submit() would have returned it; without the host. If there is
 * none yet, the job is refused. Frees what was pending. */
enum gateway_verdict gateway_submission_end(struct gateway *gateway, struct forwarder *forwarder,
                                            const struct client *client, struct submission *pending,
                                            struct gateway_submission *ret);

/* Stops waiting: the job is withdrawn as soon as it is decided about. Frees what was pending. Takes
 * NULL. */
void gateway_submission_abandon(struct submission *pending);

/* ---- a job that was submitted; Thread: any, unless a function says otherwise ---- */

/* Finds a job by ID. Returns it with a reference for the caller, or NULL: unknown or expired. */
struct job *gateway_find(struct gateway *gateway, const char *id);

/* Returns the state now. When it is final, job->outcome may be read without a lock from then on. */
enum job_state gateway_state(struct gateway *gateway, struct job *job);

/*
 * Arms a waiter. Returns true when it is armed, or false when the job has come so far already and
 * no mail will be sent. The caller holds a reference to the job while the waiter is armed.
 */
bool gateway_wait(struct gateway *gateway, struct job *job, struct waiter *waiter);

/* Disarms a waiter. Returns false when its mail is on the way. */
bool gateway_unwait(struct gateway *gateway, struct job *job, struct waiter *waiter);

/* Returns whether the job would survive a crash, so that its ID may be returned. */
bool gateway_is_durable(struct gateway *gateway, const struct job *job);

/* Writes a job, and arms the waiter until it is written or that has failed. Returns false when
 * there is nothing to wait for. Thread: the loop's. */
bool gateway_wait_durable(struct gateway *gateway, struct loop *loop, struct job *job,
                          struct waiter *waiter);

/* Disarms it. Returns false when its mail is on the way. */
bool gateway_unwait_durable(struct gateway *gateway, struct job *job, struct waiter *waiter);

/* A job could not be made durable: withdraws it, if it was not sent yet. Thread: the loop's. */
enum gateway_verdict gateway_withdraw(struct gateway *gateway, struct loop *loop, struct job *job,
                                      char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/*
 * Cancels a job: END_BY_OWNER or END_BY_OPERATOR. It ends as soon as that is stored. Returns false
 * if it is too late: the job is, or may be, with the upstream; or it has ended. Thread: the loop's.
 */
bool gateway_cancel(struct gateway *gateway, struct loop *loop, struct job *job,
                    enum end_reason by);

/* ---- the parts ---- */

/*
 * Notes in the audit that a request was refused. client and site may be NULL. Thread: any.
 */
void gateway_audit_refusal(struct gateway *gateway, const struct client *client,
                           const char *address, const char *site, const char *code);

/* What parses large bodies off the loops. */
struct parser *gateway_parser(struct gateway *gateway);

/* What slows failed tokens down. */
struct throttle *gateway_throttle(struct gateway *gateway);

struct balances *gateway_balances(struct gateway *gateway);

/* The configuration in force. A reload replaces it: neither the pointer nor one into it is to be
 * kept beyond the event that asked. Thread: any that main tells of reloads. */
const struct config *gateway_config(const struct gateway *gateway);

#endif
