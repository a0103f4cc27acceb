/*
 * gateway_submit: how a job comes in, and why one is not taken; see gateway.h.
 */
#include "gateway/gateway.h"

#include "access/clients.h"
#include "access/policy.h"
#include "base/clock.h"
#include "base/digest.h"
#include "config/config.h"
#include "dispatch/entry.h"
#include "dispatch/scheduler.h"
#include "dispatch/submission.h"
#include "forward/forward.h"
#include "gateway/gateway_private.h"
#include "job/job.h"
#include "job/parser.h"
#include "job/purchase.h"
#include "job/task.h"
#include "store/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- why a job is not taken ---- */

static const char no_memory[] = "solvegate has no memory for the job; send it again later";

static enum gateway_verdict say(enum gateway_verdict verdict, const char *text, char *message)
{
        (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX, "%s", text);
        return verdict;
}

/* limits.queue_jobs bounds what one client alone has; another one may go beyond it, up to its
 * share. */
static enum gateway_verdict queue_full(const struct gateway *gateway, const struct client *client,
                                       char *message)
{
        int max = gateway_config(gateway)->limits.queue_jobs;

        if (client)
                (void)snprintf(
                        message, GATEWAY_MESSAGE_BYTES_MAX,
                        "the queue is full (limits.queue_jobs = %d), and this client has its "
                        "share of it; send the job again when some of its jobs have ended",
                        max);
        else
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "the queue is full (limits.queue_jobs = %d): only a client with "
                               "less than its share of it may submit jobs until some have ended",
                               max);
        return GATEWAY_QUEUE_FULL;
}

/* Says why a job cannot be taken at the moment. client may be NULL: anybody's job. */
static enum gateway_verdict busy_verdict(const struct gateway *gateway, const struct client *client,
                                         int error, char *message)
{
        switch (error) {
        case -ESHUTDOWN:
                return say(GATEWAY_DRAINING,
                           "solvegate is being stopped and takes no more jobs; send it again when "
                           "it is back",
                           message);
        case -EBUSY:
                return say(GATEWAY_DRAINED,
                           "solvegate takes no jobs at the moment, by its operator's order; send "
                           "it again later",
                           message);
        case -EHOSTUNREACH:
                return say(GATEWAY_NO_UPSTREAM,
                           "every upstream refuses its account (wrong key, no balance, or the plan "
                           "is over), or its url leads back to solvegate; send the job again "
                           "later, or "
                           "tell the operator of solvegate",
                           message);
        case -EIO:
                return say(GATEWAY_STORE,
                           "the job cannot be stored at the moment (state_directory), so it was "
                           "not taken; send it again later, or tell who runs solvegate",
                           message);
        case -EROFS:
                return say(GATEWAY_STORE,
                           "the audit cannot be written at the moment (audit.file), so the job was "
                           "not taken; send it again later, or tell who runs solvegate",
                           message);
        case -ENOMEM:
                return say(GATEWAY_NO_MEMORY, no_memory, message);
        default:
                return queue_full(gateway, client, message);
        }
}

enum gateway_verdict gateway_body_verdict(const struct gateway *gateway, int error,
                                          char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        const struct config *config = gateway_config(gateway);

        switch (error) {
        case -EMSGSIZE:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "the body is larger than %lld bytes (limits.body_bytes); send fewer "
                               "or smaller images",
                               (long long)config->limits.body_bytes);
                return GATEWAY_TOO_LARGE;
        case -ENOBUFS:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "the bodies of all jobs may fill at most %lld bytes "
                               "(limits.queue_bytes)%s; send the job again later",
                               (long long)config->limits.queue_bytes,
                               atomic_load(&gateway->bodies.spare_bytes) > 0
                                       ? ", the last eighth only for a client with no more than "
                                         "one body or its share of that eighth"
                                       : "");
                return GATEWAY_QUEUE_FULL;
        default:
                return say(GATEWAY_NO_MEMORY, no_memory, message);
        }
}

enum gateway_verdict gateway_check(struct gateway *gateway, const struct client *client,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        int r = scheduler_check(gateway->scheduler, client);

        return r < 0 ? busy_verdict(gateway, client, r, message) : GATEWAY_OK;
}

enum gateway_verdict gateway_admit(struct gateway *gateway, struct client *client, int64_t length,
                                   bool may_repeat, struct body **ret_body,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        enum gateway_verdict verdict =
                may_repeat ? GATEWAY_OK : gateway_check(gateway, client, message);

        if (verdict != GATEWAY_OK)
                return verdict;
        int r = body_new(&gateway->bodies, &client->bodies, length, ret_body);
        return r < 0 ? gateway_body_verdict(gateway, r, message) : GATEWAY_OK;
}

/* ---- the site ---- */

/* Says what is to be done about a site that may not be. */
static void explain_site(const struct gateway *gateway, const struct client *client,
                         enum policy_site verdict, const char *host, char *message)
{
        const char *file = gateway_config(gateway)->file;

        switch (verdict) {
        case POLICY_SITE_ALLOWED:
                return;
        case POLICY_SITE_NOT_LISTED:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "site \"%s\" is not on the allow-list; if it is yours, or you are "
                               "authorized to test it, add it to the list: "
                               "sites = { allow = [ …, \"%s\" ]; }; in %s, and reload (SIGHUP)",
                               host, host, file);
                return;
        case POLICY_SITE_EXPIRED:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "site \"%s\" was on the allow-list until its entry expired; if the "
                               "authorization was renewed, set a later expires in %s, and reload "
                               "(SIGHUP)",
                               host, file);
                return;
        case POLICY_SITE_NOT_FOR_CLIENT:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "site \"%s\" is not on the list of client %s; if it is yours, or "
                               "you are authorized to test it, add it there: "
                               "sites = { allow = [ …, \"%s\" ]; }; in %s, and reload (SIGHUP)",
                               host, client->name, host, file);
                return;
        case POLICY_SITE_EXPIRED_FOR_CLIENT:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "site \"%s\" was on the list of client %s until its entry expired; "
                               "set a later expires in %s, and reload (SIGHUP)",
                               host, client->name, file);
                return;
        }
}

/* Finds the host of a site and looks it up. Deny by default. */
static enum gateway_verdict check_site(const struct gateway *gateway,
                                       const struct gateway_order *order, const char *site,
                                       struct gateway_told *told)
{
        const char *file = gateway_config(gateway)->file;

        if (!site) {
                (void)snprintf(told->message, sizeof told->message,
                               "the job names no site: put its host into the field \"site\", add "
                               "the host to the list in %s, as in sites = { allow = [ …, \"HOST\" "
                               "]; };, and reload (SIGHUP)",
                               file);
                return GATEWAY_SITE;
        }
        if (site_host(site, told->host) < 0) {
                told->host[0] = '\0';
                (void)snprintf(
                        told->message, sizeof told->message,
                        "the field \"site\" has no host that can be read without doubt; write "
                        "host, host/path or an http or https URL, in ASCII (Punycode), "
                        "without user, blanks and percent signs; the host must be in "
                        "sites.allow in %s",
                        file);
                return GATEWAY_SITE;
        }
        enum policy_site verdict =
                policy_check_site(order->policy, order->client, told->host, clock_wall_ms());
        explain_site(gateway, order->client, verdict, told->host, told->message);
        return verdict == POLICY_SITE_ALLOWED ? GATEWAY_OK : GATEWAY_SITE;
}

/* What has come of the body. */
static enum gateway_verdict parse_verdict(const struct parse *parse, char *message)
{
        if (parse->verdict != TASK_OK)
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX, "%s", parse->message);
        switch (parse->verdict) {
        case TASK_OK:
                return GATEWAY_OK;
        case TASK_BAD_JSON:
                return GATEWAY_BAD_JSON;
        case TASK_BAD_JOB:
                return GATEWAY_BAD_JOB;
        case TASK_METHOD_NOT_ALLOWED:
                return GATEWAY_JOB_METHOD;
        case TASK_NO_MEMORY:
                break;
        }
        return say(GATEWAY_NO_MEMORY, no_memory, message);
}

/* With results.share = false, the same task of another client is another one. */
static int identity_for(const struct gateway *gateway, const char *client,
                        struct task_identity *identity)
{
        struct digest digest;

        if (gateway_config(gateway)->results.share)
                return 0;
        int r = digest_init(&digest);
        if (r < 0)
                return r;
        digest_update(&digest, identity, sizeof *identity);
        digest_update(&digest, client, strlen(client));
        r = digest_finish(&digest, identity->bytes);
        digest_done(&digest);
        return r;
}

static int64_t next_number(struct gateway *gateway)
{
        return gateway->store ? store_next_number(gateway->store)
                              : atomic_fetch_add(&gateway->next_number, 1);
}

/* Makes the job, and the purchase that it makes if it must. */
static int make_job(struct gateway *gateway, const struct gateway_order *order,
                    const struct parse *parse, const char *host, struct job **ret_job,
                    struct purchase **ret_purchase)
{
        int64_t now_ms = clock_wall_ms();
        struct job_parts parts = {
                .client = order->client->name,
                .address = order->address,
                .target_json = parse->task.target_json,
                .key = order->key,
                .key_digest = parse->digest,
                .created_wall_ms = now_ms,
                .deadline_wall_ms = now_ms + gateway_config(gateway)->limits.job_deadline_ms,
        };
        struct task_identity identity = parse->task.identity;
        char *host_copy = strdup(host);
        int r = host_copy ? identity_for(gateway, order->client->name, &identity) : -ENOMEM;

        if (r == 0)
                r = purchase_new(next_number(gateway), &identity, host_copy, parse->body,
                                 ret_purchase);
        if (r < 0) {
                free(host_copy);
                return r;
        }
        (void)body_ref(parse->body);
        r = job_new(&parts, ret_job);
        if (r < 0)
                purchase_unref(*ret_purchase);
        return r;
}

/* The client has a job with this key: it is the one, if the body is the same. */
static enum gateway_verdict same_job(struct job *job, struct job *other, struct job **ret_job,
                                     char *message)
{
        if (memcmp(job->key_digest, other->key_digest, JOB_DIGEST_BYTES) != 0) {
                job_unref(other);
                return say(GATEWAY_KEY_REUSED,
                           "this Idempotency-Key came with another body before; use a new key for "
                           "each job, and the same only to repeat one",
                           message);
        }
        *ret_job = other;
        return GATEWAY_OK;
}

/* The client's own limit is reached. */
static enum gateway_verdict quota_verdict(const struct submission_result *result,
                                          struct gateway_told *told)
{
        told->retry_after_s = quota_retry_after_s(&result->figures, result->refused);
        quota_explain(&result->figures, result->refused, told->message);
        return result->refused == QUOTA_RATE ? GATEWAY_RATE_LIMITED : GATEWAY_QUOTA_EXCEEDED;
}

/* Says what became of a submission, and sends what may be sent. */
static enum gateway_verdict conclude(struct gateway *gateway, struct forwarder *forwarder,
                                     const struct client *client, int error,
                                     struct submission_result *result, struct job **ret_job,
                                     struct gateway_told *told)
{
        switch (error) {
        case 0:
                *ret_job = job_ref(result->job);
                forwarder_kick(forwarder);
                return GATEWAY_OK;
        case -EEXIST:
                return same_job(result->job, result->other, ret_job, told->message);
        case -EDQUOT:
                return quota_verdict(result, told);
        case -EACCES:
                (void)snprintf(told->message, sizeof told->message, "%s, so the job was not taken",
                               result->unwanted);
                return GATEWAY_SITE;
        default:
                return busy_verdict(gateway, client, error, told->message);
        }
}

/* Asks for the job to be let in. */
static enum gateway_verdict enter(struct gateway *gateway, struct forwarder *forwarder,
                                  const struct gateway_order *order, struct job *job,
                                  struct purchase *purchase, struct gateway_submission *ret)
{
        const struct submission_order submission = {
                .job = job,
                .client = order->client,
                .candidate = purchase,
                .fresh = order->fresh,
                .loop = order->loop,
        };
        struct submission_result result = {0};
        int r = submit_job(gateway->scheduler, &submission, &result, &ret->pending);

        if (r == -EINPROGRESS)
                return GATEWAY_PENDING;
        enum gateway_verdict verdict =
                conclude(gateway, forwarder, order->client, r, &result, &ret->job, &ret->told);
        job_unref(result.job);
        return verdict;
}

enum gateway_verdict gateway_submit(struct gateway *gateway, struct forwarder *forwarder,
                                    const struct gateway_order *order, const struct parse *parse,
                                    struct gateway_submission *ret)
{
        struct job *job = NULL;
        struct purchase *purchase = NULL;

        *ret = (struct gateway_submission){0};
        enum gateway_verdict verdict = parse_verdict(parse, ret->told.message);
        if (verdict == GATEWAY_OK)
                verdict = check_site(gateway, order, parse->task.site, &ret->told);
        if (verdict == GATEWAY_OK &&
            make_job(gateway, order, parse, ret->told.host, &job, &purchase) < 0)
                verdict = say(GATEWAY_NO_MEMORY, no_memory, ret->told.message);
        if (verdict == GATEWAY_OK) {
                verdict = enter(gateway, forwarder, order, job, purchase, ret);
                job_unref(job);
                purchase_unref(purchase);
        }
        return verdict;
}
bool gateway_submission_wait(struct submission *pending, struct waiter *waiter)
{
        return submission_wait(pending, waiter);
}

bool gateway_submission_unwait(struct submission *pending, struct waiter *waiter)
{
        return submission_unwait(pending, waiter);
}

void gateway_submission_abandon(struct submission *pending)
{
        submission_abandon(pending);
}

enum gateway_verdict gateway_submission_end(struct gateway *gateway, struct forwarder *forwarder,
                                            const struct client *client, struct submission *pending,
                                            struct gateway_submission *ret)
{
        struct submission_result result;

        *ret = (struct gateway_submission){0};
        int r = submission_end(pending, &result);
        if (r == -EINPROGRESS) {
                submission_abandon(pending);
                return say(GATEWAY_STORE,
                           "whether the job may be taken was not decided in time (the store does "
                           "not answer), so it was not taken; send it again later, or tell who "
                           "runs solvegate",
                           ret->told.message);
        }
        enum gateway_verdict verdict =
                conclude(gateway, forwarder, client, r, &result, &ret->job, &ret->told);
        job_unref(result.job);
        return verdict;
}

enum gateway_verdict gateway_withdraw(struct gateway *gateway, struct loop *loop, struct job *job,
                                      char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        if (entry_withdraw(gateway->scheduler, loop, job))
                return busy_verdict(gateway, NULL, -EIO, message);
        return say(GATEWAY_STORE,
                   "the job was sent already, but cannot be stored at the moment; one that is sent "
                   "again while it is under way shares its result",
                   message);
}
