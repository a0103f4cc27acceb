/*
 * gateway: see gateway.h.
 */
#include "engine/gateway.h"

#include "access/sites.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "config/config.h"
#include "config/credential.h"
#include "engine/balance.h"
#include "engine/charges.h"
#include "engine/entry.h"
#include "engine/forward.h"
#include "engine/recover.h"
#include "engine/scheduler.h"
#include "job/body.h"
#include "job/job.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/store.h"
#include "job/task.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define STORE_PROBLEM_BYTES_MAX 256

struct gateway {
        const struct config *config;
        struct sites *sites;
        struct account *accounts;
        size_t account_count;
        struct results *results;
        struct store *store; /* NULL: nothing is kept */
        struct charges *charges;
        struct scheduler *scheduler;
        struct body_pool bodies;
        struct balances *balances;
        _Atomic int64_t next_number; /* of a purchase, without a store */
        bool store_sick;             /* it was said so; main's */
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

/* Jobs that nobody can ask for any more need not be on disk either. */
static void on_forgotten(void *arg, const struct job *gone)
{
        const struct gateway *gateway = arg;
        const struct job *job;
        size_t count = 0;

        if (!gateway->store)
                return;
        DL_FOREACH2 (gone, job, expiry_next)
                count++;
        struct store_record *record = store_record_new();
        if (record)
                record->forget = calloc(count, sizeof *record->forget);
        if (!record || !record->forget) {
                store_record_free(record); /* the next start forgets them */
                return;
        }
        DL_FOREACH2 (gone, job, expiry_next)
                memcpy(record->forget[record->forget_count++], job->id, sizeof job->id);
        record->must = true;
        store_write(gateway->store, record);
}

static int make_scheduler(struct gateway *gateway)
{
        const struct config *config = gateway->config;
        struct results_setup results = {
                .ttl_ms = config->results.ttl_ms,
                .max_bytes = config->results.bytes,
                .forget = on_forgotten,
                .arg = gateway,
        };
        int r = results_new(&results, &gateway->results);

        if (r == 0)
                r = charges_new(&gateway->charges);
        if (r < 0)
                return r;
        struct scheduler_setup setup = {
                .config = config,
                .accounts = gateway->accounts,
                .account_count = gateway->account_count,
                .results = gateway->results,
                .store = gateway->store,
                .charges = gateway->charges,
        };
        return scheduler_new(&setup, &gateway->scheduler);
}

int gateway_new(const struct config *config, struct credential **credentials,
                struct strbuf *problem, struct gateway **ret_gateway)
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
        if (r == 0 && config->durability == DURABILITY_FULL)
                r = store_open(config->state_directory, &gateway->store, problem);
        if (r == 0)
                r = make_scheduler(gateway);
        if (r == 0)
                r = balances_new(gateway->accounts, gateway->account_count, &gateway->balances);
        if (r == 0 && gateway->store) {
                const struct recovery recovery = {.store = gateway->store,
                                                  .config = config,
                                                  .sites = gateway->sites,
                                                  .scheduler = gateway->scheduler,
                                                  .charges = gateway->charges};
                r = recover(&recovery, problem);
        }
        if (r < 0) {
                gateway_free(gateway);
                return r;
        }
        *ret_gateway = gateway;
        return 0;
}

int gateway_start(struct gateway *gateway)
{
        return gateway->store ? store_start(gateway->store) : 0;
}

void gateway_free(struct gateway *gateway)
{
        if (!gateway)
                return;
        size_t lost = store_close(gateway->store);
        if (lost > 0)
                log_error("%zu records could not be written to %s; the jobs that they are about "
                          "go on from what was written before",
                          lost, gateway->config->state_directory);
        gateway->store = NULL;
        balances_free(gateway->balances);
        scheduler_free(gateway->scheduler);
        results_free(gateway->results);
        charges_free(gateway->charges);
        sites_free(gateway->sites);
        for (size_t i = 0; i < gateway->account_count; i++)
                credential_free(gateway->accounts[i].credential);
        free(gateway->accounts);
        free(gateway);
}

static const char no_memory[] = "solvegate has no memory for the job; send it again later";

static enum gateway_verdict say(enum gateway_verdict verdict, const char *text, char *message)
{
        (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX, "%s", text);
        return verdict;
}

/* Says why a job cannot be taken at the moment. */
static enum gateway_verdict busy_verdict(const struct gateway *gateway, int error, char *message)
{
        switch (error) {
        case -ESHUTDOWN:
                return say(GATEWAY_DRAINING,
                           "solvegate is being stopped and takes no more jobs; send it again when "
                           "it is back",
                           message);
        case -EHOSTUNREACH:
                return say(GATEWAY_NO_UPSTREAM,
                           "every upstream refuses its account (wrong key, no balance, or the plan "
                           "is over); the log says which; send the job again later",
                           message);
        case -EIO:
                return say(GATEWAY_STORE,
                           "the job cannot be stored at the moment (state_directory), so it was "
                           "not taken; the log says why; send it again later",
                           message);
        case -ENOMEM:
                return say(GATEWAY_NO_MEMORY, no_memory, message);
        default:
                (void)snprintf(message, GATEWAY_MESSAGE_BYTES_MAX,
                               "%d jobs wait already (limits.queue_jobs); send it again later",
                               gateway->config->limits.queue_jobs);
                return GATEWAY_QUEUE_FULL;
        }
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
                return say(GATEWAY_NO_MEMORY, no_memory, message);
        }
}

enum gateway_verdict gateway_check(struct gateway *gateway,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        int r = scheduler_check(gateway->scheduler);

        return r < 0 ? busy_verdict(gateway, r, message) : GATEWAY_OK;
}

enum gateway_verdict gateway_admit(struct gateway *gateway, int64_t length, bool may_repeat,
                                   struct body **ret_body,
                                   char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        enum gateway_verdict verdict = may_repeat ? GATEWAY_OK : gateway_check(gateway, message);

        if (verdict != GATEWAY_OK)
                return verdict;
        int r = body_new(&gateway->bodies, length, ret_body);
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
        return say(GATEWAY_NO_MEMORY, no_memory, message);
}

/* With results.share = false, the same task of another client is another one. */
static int identity_for(const struct gateway *gateway, const char *client,
                        struct task_identity *identity)
{
        struct digest digest;

        if (gateway->config->results.share)
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
                    const struct task *task, const char *host, struct body *body,
                    struct job **ret_job, struct purchase **ret_purchase)
{
        int64_t now_ms = clock_wall_ms();
        unsigned char key_digest[JOB_DIGEST_BYTES];
        struct job_parts parts = {
                .client = order->client,
                .target_json = task->target_json,
                .key = order->key,
                .key_digest = key_digest,
                .created_wall_ms = now_ms,
                .deadline_wall_ms = now_ms + gateway->config->limits.job_deadline_ms,
        };
        struct task_identity identity = task->identity;
        char *host_copy = strdup(host);
        int r = host_copy ? identity_for(gateway, order->client, &identity) : -ENOMEM;

        if (r == 0 && order->key)
                r = digest_of(body->data, body->len, key_digest);
        if (r == 0)
                r = purchase_new(next_number(gateway), &identity, host_copy, body, ret_purchase);
        if (r < 0) {
                free(host_copy);
                return r;
        }
        (void)body_ref(body);
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

/* Lets the job in, and sends what may be sent. */
static enum gateway_verdict enter(struct gateway *gateway, struct forwarder *forwarder,
                                  struct job *job, struct purchase *purchase, bool fresh,
                                  struct job **ret_job, char *message)
{
        struct job *other = NULL;
        int r = entry_submit(gateway->scheduler, job, purchase, fresh, &other);

        if (r == -EEXIST)
                return same_job(job, other, ret_job, message);
        if (r < 0)
                return busy_verdict(gateway, r, message);
        *ret_job = job_ref(job);
        forwarder_kick(forwarder);
        return GATEWAY_OK;
}

enum gateway_verdict gateway_submit(struct gateway *gateway, struct forwarder *forwarder,
                                    const struct gateway_order *order, struct body *body,
                                    struct job **ret_job,
                                    char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        char host[SITE_HOST_BYTES_MAX];
        struct task task = {0};
        struct job *job = NULL;
        struct purchase *purchase = NULL;

        enum gateway_verdict verdict =
                task_verdict(task_parse(body->data ? body->data : "", body->len,
                                        (unsigned)gateway->config->limits.images, &task, message),
                             message);
        if (verdict == GATEWAY_OK)
                verdict = check_site(gateway, task.site, host, message);
        if (verdict == GATEWAY_OK &&
            make_job(gateway, order, &task, host, body, &job, &purchase) < 0)
                verdict = say(GATEWAY_NO_MEMORY, no_memory, message);
        if (verdict == GATEWAY_OK) {
                verdict = enter(gateway, forwarder, job, purchase, order->fresh, ret_job, message);
                job_unref(job);
                purchase_unref(purchase);
        }
        task_done(&task);
        return verdict;
}

enum gateway_verdict gateway_withdraw(struct gateway *gateway, struct job *job,
                                      char message[static GATEWAY_MESSAGE_BYTES_MAX])
{
        if (entry_withdraw(gateway->scheduler, job))
                return busy_verdict(gateway, -EIO, message);
        return say(GATEWAY_STORE,
                   "the job was sent already, but cannot be stored at the moment; one that is sent "
                   "again while it is under way shares its result",
                   message);
}

/* Says once when the store fails, and when it is well again. */
static void watch_store(struct gateway *gateway)
{
        char problem[STORE_PROBLEM_BYTES_MAX];
        bool healthy = !gateway->store || store_healthy(gateway->store);

        if (healthy == !gateway->store_sick)
                return;
        gateway->store_sick = !healthy;
        if (healthy) {
                log_info("store %s: written again", gateway->config->state_directory);
                return;
        }
        store_problem(gateway->store, problem, sizeof problem);
        log_error("store %s cannot be written: %s; no job is taken or sent until it can",
                  gateway->config->state_directory, problem);
}

void gateway_tick(struct gateway *gateway, struct loop *loop)
{
        int64_t now_ms = clock_monotonic_ms();

        watch_store(gateway);

        entry_expire(gateway->scheduler, loop, now_ms);
        results_sweep(gateway->results, now_ms);
}

void gateway_drain(struct gateway *gateway, struct loop *loop, struct mail *idle)
{
        scheduler_drain(gateway->scheduler, loop, idle);
        /* They would be charged, and few would still be asked for. */
        if (!gateway->store)
                entry_cancel_waiting(gateway->scheduler, loop);
}

void gateway_give_up(struct gateway *gateway)
{
        if (gateway->store)
                store_give_up(gateway->store);
}

struct forwarder_setup gateway_forwarder_setup(struct gateway *gateway, struct loop *loop)
{
        return (struct forwarder_setup){
                .config = gateway->config,
                .loop = loop,
                .scheduler = gateway->scheduler,
                .store = gateway->store,
                .bodies = &gateway->bodies,
        };
}

int64_t gateway_body_bytes(const struct gateway *gateway)
{
        return atomic_load(&gateway->bodies.bytes);
}

struct charges *gateway_charges(struct gateway *gateway)
{
        return gateway->charges;
}

struct balances *gateway_balances(struct gateway *gateway)
{
        return gateway->balances;
}

struct results *gateway_results(struct gateway *gateway)
{
        return gateway->results;
}

struct scheduler *gateway_scheduler(struct gateway *gateway)
{
        return gateway->scheduler;
}

const struct config *gateway_config(const struct gateway *gateway)
{
        return gateway->config;
}
