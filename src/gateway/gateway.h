/*
 * gateway: what the HTTP side calls. One for the process, shared by all workers.
 *
 * Owns what the workers share: the accounts, the site list, the scheduler, the results, the store,
 * the bodies' ceiling and the balances.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_H
#define SOLVEGATE_GATEWAY_GATEWAY_H

#include "access/quota.h"
#include "access/sites.h"

#include <stdbool.h>
#include <stdint.h>

struct balances;
struct body;
struct charges;
struct client;
struct clients;
struct config;
struct credential;
struct entry_unwanted_counts;
struct forwarder;
struct gateway;
struct job;
struct loop;
struct mail;
struct parse;
struct parser;
struct policy;
struct recover_hook;
struct results;
struct scheduler;
struct store;
struct strbuf;
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
        GATEWAY_DRAINED,  /* by its operator's order, for as long as he needs */
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

/*
 * Makes a gateway with what the store has kept. store is open; the gateway closes it, on failure
 * too. NULL: nothing is kept. hook, if it is not NULL, is told how far the reading is. config is in
 * force until gateway_apply() puts another in its place. credentials has one for each upstream, in
 * order; those that are taken over become NULL, and the caller frees the others. On failure returns
 * -errno, and writes to problem what strerror() could not tell.
 */
int gateway_new(const struct config *config, struct store *store, struct credential **credentials,
                const struct recover_hook *hook, struct strbuf *problem,
                struct gateway **ret_gateway);

/* Starts the writers of the audit and the store. Signals are blocked by the caller. Returns 0 or
 * -errno. */
int gateway_start(struct gateway *gateway);

/* Writes what is left and frees. Requires that every worker is gone. Takes NULL. */
void gateway_free(struct gateway *gateway);

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

/* How a client wants his job taken. */
struct gateway_order {
        const struct policy *policy; /* in force where it came */
        struct client *client;       /* whose it is */
        const char *address;         /* from where */
        const char *key;             /* its Idempotency-Key, or NULL */
        bool fresh;                  /* neither a kept result nor one under way will do */
        struct loop *loop;           /* the forwarder's */
};

/* What became of a job that was submitted. */
struct gateway_submission {
        struct job *job;            /* OK: a reference; else NULL */
        struct submission *pending; /* PENDING: the caller's; else NULL */
        struct gateway_told told;
};

/*
 * Takes a job whose body has been parsed (job/parser.h). On GATEWAY_OK the job may be sent, or even
 * final, already; its id may leave once keep_wait() has said so. It may be an older job of the
 * client, with the same key and body. On GATEWAY_PENDING it waits for the arbiter's decision, and
 * the caller for gateway_submission_wait(). The parse has a digest if the order has a key. The
 * caller keeps it. Thread: the forwarder's loop.
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

/* Nobody waits any more: the job is withdrawn as soon as it is decided about. Frees what was
 * pending. Takes NULL. */
void gateway_submission_abandon(struct submission *pending);

/* A job could not be kept: withdraws it, if it was not sent yet. */
enum gateway_verdict gateway_withdraw(struct gateway *gateway, struct loop *loop, struct job *job,
                                      char message[static GATEWAY_MESSAGE_BYTES_MAX]);

/*
 * A reload, in steps. gateway_prepare() makes all that can fail; config is what is to be in force,
 * and credentials are taken over as by gateway_new(). gateway_apply() puts it in force: clients and
 * accounts go by it, before any server judges by the new policy, so nobody enters without his
 * limits. When every server does, gateway_cancel_unwanted() cancels what waits and is not to be
 * sent any more, as entry_cancel_unwanted(): it goes on in the next turns of the loop, and then
 * calls done with how many those were. By then nobody uses the configuration that was in force
 * before. Thread: main.
 */
struct gateway_change;

int gateway_prepare(struct gateway *gateway, const struct config *config,
                    struct credential **credentials, struct strbuf *problem,
                    struct gateway_change **ret_change);
void gateway_apply(struct gateway *gateway, struct gateway_change *change);
void gateway_cancel_unwanted(struct gateway *gateway, struct loop *loop,
                             void (*done)(void *arg, const struct entry_unwanted_counts *counts),
                             void *arg);

/* Takes NULL, and what was applied too. */
void gateway_change_free(struct gateway_change *change);

/* Its policy, as long as the change lives. */
struct policy *gateway_change_policy(const struct gateway_change *change);

/* What is different about an upstream. */
enum gateway_upstream_change {
        GATEWAY_UPSTREAM_NEW, /* or back again */
        GATEWAY_UPSTREAM_GONE,
        GATEWAY_UPSTREAM_CREDENTIAL,
        GATEWAY_UPSTREAM_PLACE, /* url or api */
        GATEWAY_UPSTREAM_CA,
        GATEWAY_UPSTREAM_LIMITS, /* max_in_flight or priority */
};
#define GATEWAY_UPSTREAM_CHANGES (GATEWAY_UPSTREAM_LIMITS + 1)

/* Names each; before the change is applied. Thread: main. */
void gateway_change_each(const struct gateway *gateway, const struct gateway_change *change,
                         void (*told)(void *arg, enum gateway_upstream_change what,
                                      const char *name),
                         void *arg);

/* The policy that is in force: without a reference of its own. Thread: main. */
struct policy *gateway_policy(struct gateway *gateway);

/* For log rotation: the audit goes on in a new file. Thread: any. */
void gateway_reopen_audit(struct gateway *gateway);

/*
 * Notes in the audit that a request was refused. client and site may be NULL. Thread: any.
 */
void gateway_audit_refusal(struct gateway *gateway, const struct client *client,
                           const char *address, const char *site, const char *code);

/* What parses large bodies off the loops. */
struct parser *gateway_parser(struct gateway *gateway);

/* What slows failed tokens down. */
struct throttle *gateway_throttle(struct gateway *gateway);

/*
 * Fails queued jobs whose deadline has passed. Thread: main, whose loop is told by
 * scheduler_drain() when all is done, and so not before these jobs are final.
 */
void gateway_tick(struct gateway *gateway, struct loop *loop);

/*
 * Drops some of the results that have expired or exceed results.bytes, and returns their memory to
 * the kernel. Returns whether there are more of them. To be called at each tick, and again soon
 * while there are. Thread: main.
 */
bool gateway_sweep(struct gateway *gateway);

/*
 * Stops taking and sending: what waits is left for the next start where it is kept, else it is
 * cancelled. Posts idle to loop once nothing is under way. Thread: main, likewise.
 */
void gateway_drain(struct gateway *gateway, struct loop *loop, struct mail *idle);

/* The time to stop has come: the store tries everything once only. Thread: any. */
void gateway_give_up(struct gateway *gateway);

/* Makes the forwarder of a loop. Returns 0 or -ENOMEM. */
int gateway_new_forwarder(struct gateway *gateway, struct loop *loop,
                          struct forwarder **ret_forwarder);

/* Whether what is promised can be written: to the store, and to the audit. Thread: any. */
bool gateway_store_well(const struct gateway *gateway);
bool gateway_audit_well(const struct gateway *gateway);

/* Copies what is wrong with the store, or what was, or an empty text. Thread: any. */
#define GATEWAY_STORE_PROBLEM_BYTES_MAX 256
void gateway_store_problem(const struct gateway *gateway,
                           char ret_problem[static GATEWAY_STORE_PROBLEM_BYTES_MAX]);

/* How many bytes the bodies in memory take now. Thread: any. */
int64_t gateway_body_bytes(const struct gateway *gateway);

struct charges *gateway_charges(struct gateway *gateway);
struct balances *gateway_balances(struct gateway *gateway);
struct results *gateway_results(struct gateway *gateway);
struct scheduler *gateway_scheduler(struct gateway *gateway);

/* The configuration in force. A reload replaces it: neither the pointer nor one into it is to be
 * kept beyond the event that asked. Thread: any that main tells of reloads. */
const struct config *gateway_config(const struct gateway *gateway);

#endif
