/*
 * gateway: see gateway.h.
 */
#include "engine/gateway.h"

#include "access/sites.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "config/credential.h"
#include "engine/balance.h"
#include "engine/forward.h"
#include "engine/scheduler.h"
#include "job/body.h"
#include "job/job.h"
#include "job/results.h"
#include "job/task.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gateway {
        const struct config *config;
        struct sites *sites;
        struct account *accounts;
        size_t account_count;
        struct scheduler *scheduler;
        struct results *results;
        struct body_pool bodies;
        struct balance *balance;
};

static void free_credentials(const struct config *config, struct credential **credentials)
{
        for (size_t i = 0; i < config->upstreams_count; i++)
                credential_free(credentials[i]);
}

static int make_accounts(struct gateway *gateway, struct credential **credentials)
{
        const struct config *config = gateway->config;

        gateway->accounts = calloc(config->upstreams_count, sizeof *gateway->accounts);
        if (!gateway->accounts) {
                free_credentials(config, credentials);
                return -ENOMEM;
        }
        gateway->account_count = config->upstreams_count;
        for (size_t i = 0; i < gateway->account_count; i++)
                gateway->accounts[i] = (struct account){.config = &config->upstreams[i],
                                                        .credential = credentials[i]};
        return 0;
}

static const struct account *first_account(const struct gateway *gateway)
{
        const struct account *first = &gateway->accounts[0];

        for (size_t i = 1; i < gateway->account_count; i++) {
                if (gateway->accounts[i].config->priority < first->config->priority)
                        first = &gateway->accounts[i];
        }
        return first;
}

int gateway_new(const struct config *config, struct credential **credentials,
                struct gateway **ret_gateway)
{
        struct gateway *gateway = calloc(1, sizeof *gateway);

        if (!gateway) {
                free_credentials(config, credentials);
                return -ENOMEM;
        }
        gateway->config = config;
        gateway->bodies.max_bytes = config->limits.queue_bytes;
        gateway->bodies.body_max_bytes = config->limits.body_bytes;
        int r = make_accounts(gateway, credentials);
        if (r == 0)
                r = sites_new((const char *const *)config->sites.allow.items,
                              config->sites.allow.count, &gateway->sites);
        if (r == 0)
                r = scheduler_new(gateway->accounts, gateway->account_count,
                                  (size_t)config->limits.queue_jobs, &gateway->scheduler);
        if (r == 0)
                r = results_new(config->results.ttl_ms, config->results.bytes, &gateway->results);
        if (r == 0)
                r = balance_new(first_account(gateway), &gateway->balance);
        if (r < 0) {
                gateway_free(gateway);
                return r;
        }
        *ret_gateway = gateway;
        return 0;
}

void gateway_free(struct gateway *gateway)
{
        if (!gateway)
                return;
        balance_free(gateway->balance);
        scheduler_free(gateway->scheduler);
        results_free(gateway->results);
        sites_free(gateway->sites);
        for (size_t i = 0; i < gateway->account_count; i++)
                credential_free(gateway->accounts[i].credential);
        free(gateway->accounts);
        free(gateway);
}

/* Says why a job cannot be taken at the moment. */
static enum gateway_verdict busy_verdict(const struct gateway *gateway, int error, char *message)
{
        if (error == -ESHUTDOWN) {
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "solvegate is being stopped and takes no more jobs; send it again "
                               "when it is back");
                return GATEWAY_DRAINING;
        }
        (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                       "%d jobs wait already (limits.queue_jobs); send it again later",
                       gateway->config->limits.queue_jobs);
        return GATEWAY_QUEUE_FULL;
}

enum gateway_verdict gateway_body_verdict(const struct gateway *gateway, int error,
                                          char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        const struct config *config = gateway->config;

        switch (error) {
        case -EMSGSIZE:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "the body is larger than %lld bytes (limits.body_bytes); send fewer "
                               "or smaller images",
                               (long long)config->limits.body_bytes);
                return GATEWAY_TOO_LARGE;
        case -ENOBUFS:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "the jobs under way fill %lld bytes (limits.queue_bytes); send it "
                               "again later",
                               (long long)config->limits.queue_bytes);
                return GATEWAY_QUEUE_FULL;
        default:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "solvegate has no memory for the job; send it again later");
                return GATEWAY_NO_MEMORY;
        }
}

enum gateway_verdict gateway_admit(struct gateway *gateway, int64_t length, struct body **ret_body,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        int r = scheduler_check(gateway->scheduler);

        if (r < 0)
                return busy_verdict(gateway, r, message);
        r = body_new(&gateway->bodies, length, ret_body);
        return r < 0 ? gateway_body_verdict(gateway, r, message) : GATEWAY_OK;
}

/* Finds the host of a site and looks it up. Deny by default. */
static enum gateway_verdict check_site(const struct gateway *gateway, const char *site,
                                       char ret_host[static SITE_HOST_BYTES_MAX], char *message)
{
        const char *file = gateway->config->file;

        if (!site) {
                (void)snprintf(
                        message, GATEWAY_MESSAGE_BYTES_MAX,
                        "the job names no site: put its host into the field \"site\", add "
                        "the host to the list in %s, as in sites = { allow = [ …, \"HOST\" ]; "
                        "};, and restart",
                        file);
                return GATEWAY_SITE;
        }
        if (site_host(site, ret_host) < 0) {
                (void)snprintf(
                        message, GATEWAY_MESSAGE_BYTES_MAX,
                        "the field \"site\" has no host that can be read without doubt; write "
                        "host, host/path or an http or https URL, in ASCII (Punycode), "
                        "without user, blanks and percent signs; the host must be on the "
                        "list in %s, as in sites = { allow = [ …, \"HOST\" ]; };",
                        file);
                return GATEWAY_SITE;
        }
        if (!sites_allow(gateway->sites, ret_host)) {
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "site \"%s\" is not on the allow-list; if it is yours, or you are "
                               "authorised to test it, add it to the list in %s, as in "
                               "sites = { allow = [ …, \"%s\" ]; };, and restart",
                               ret_host, file, ret_host);
                return GATEWAY_SITE;
        }
        return GATEWAY_OK;
}

static enum gateway_verdict task_verdict(enum task_verdict verdict, char *message)
{
        switch (verdict) {
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
        (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                       "solvegate has no memory for the job; send it again later");
        return GATEWAY_NO_MEMORY;
}

/* Gives the job up before anybody saw it; the body stays the caller's. */
static void withdraw(struct job *job)
{
        job->body = NULL;
        job_unref(job);
}

/* Makes the job findable, queues it and sends what may be sent. */
static enum gateway_verdict enter(struct gateway *gateway, struct forwarder *forwarder,
                                  struct job *job, char *message)
{
        if (results_add(gateway->results, job) < 0) {
                withdraw(job);
                return task_verdict(TASK_NO_MEMORY, message);
        }
        int r = scheduler_submit(gateway->scheduler, job);
        if (r < 0) {
                results_remove(gateway->results, job);
                withdraw(job);
                return busy_verdict(gateway, r, message);
        }
        forwarder_kick(forwarder);
        return GATEWAY_OK;
}

enum gateway_verdict gateway_submit(struct gateway *gateway, struct forwarder *forwarder,
                                    struct body *body, struct job **ret_job,
                                    char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        char host[SITE_HOST_BYTES_MAX], *host_copy = NULL;
        struct task task = {0};
        struct job *job = NULL;

        enum gateway_verdict verdict =
                task_verdict(task_parse(body->data ? body->data : "", body->len,
                                        (unsigned)gateway->config->limits.images, &task, message),
                             message);
        if (verdict == GATEWAY_OK)
                verdict = check_site(gateway, task.site, host, message);
        if (verdict == GATEWAY_OK) {
                host_copy = strdup(host);
                if (!host_copy || job_new(task.target_json, host_copy, body,
                                          gateway->config->limits.job_deadline_ms, &job) < 0) {
                        free(host_copy);
                        verdict = task_verdict(TASK_NO_MEMORY, message);
                }
        }
        if (verdict == GATEWAY_OK) {
                task.target_json = NULL; /* the job's now */
                verdict = enter(gateway, forwarder, job, message);
        }
        if (verdict == GATEWAY_OK)
                *ret_job = job;
        task_done(&task);
        return verdict;
}

/* Ends a job that was taken out of the queue, with the queue's reference. */
static void end_waiting(struct gateway *gateway, struct job *job, enum job_state state,
                        enum job_error error, const char *message)
{
        struct job_outcome outcome = {.error = error, .message = strdup(message)};

        log_info("job %s %s site=%s: %s", job->id, job_state_name(state), job->host, message);
        job_drop_body(job);
        results_move(gateway->results, job, state, &outcome);
        job_unref(job);
}

void gateway_tick(struct gateway *gateway)
{
        int64_t now_ms = clock_monotonic_ms();
        struct job *job;

        while ((job = scheduler_take_overdue(gateway->scheduler, now_ms)))
                end_waiting(gateway, job, JOB_FAILED, JOB_DEADLINE,
                            "limits.job_deadline passed while the job was queued; it was not sent "
                            "and not charged");
        results_sweep(gateway->results, now_ms);
}

void gateway_cancel_waiting(struct gateway *gateway)
{
        struct job *job;

        while ((job = scheduler_take_waiting(gateway->scheduler)))
                end_waiting(gateway, job, JOB_CANCELLED, JOB_CANCELLED_ERROR,
                            "solvegate was stopped before the job was sent; it was not charged; "
                            "send it again");
}

struct results *gateway_results(struct gateway *gateway)
{
        return gateway->results;
}

struct scheduler *gateway_scheduler(struct gateway *gateway)
{
        return gateway->scheduler;
}

struct balance *gateway_balance(struct gateway *gateway)
{
        return gateway->balance;
}

const struct config *gateway_config(const struct gateway *gateway)
{
        return gateway->config;
}
