/*
 * reload: see reload.h.
 */
#include "daemon/reload.h"

#include "access/policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/config_url.h"
#include "config/credential.h"
#include "config/problem.h"
#include "daemon/admin_socket.h"
#include "daemon/doors.h"
#include "daemon/files.h"
#include "daemon/places.h"
#include "daemon/reload_words.h"
#include "daemon/warnings.h"
#include "daemon/worker.h"
#include "gateway/gateway.h"
#include "gateway/gateway_reload.h"
#include "gateway/gateway_service.h"
#include "http/listener.h"
#include "http/server.h"
#include "http/tls.h"
#include "upstream/ca_file.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_BYTES_MAX 4096
#define RESTART_BYTES_MAX 4096
#define DAY_MS            INT64_C(86400000)

enum reload_state {
        RELOAD_IDLE,
        RELOAD_TELLING, /* the workers are told, and have not all confirmed; then what waits is
                           judged, some jobs in each turn of the loop */
};

/* What was read, and what comes of it. NULL is what there is not. */
struct reading {
        struct config *loaded;
        struct config *merged;            /* what is to be in force */
        struct tls_identity **identities; /* of the listeners of the loaded one */
        struct credential **credentials;  /* of the merged one; those that are not taken over */
        struct gateway_change *change;
        struct warnings accounts; /* what there is to say of the merged one's */
};

struct reload {
        struct reload_setup setup;
        enum reload_state state;
        struct config *owned;   /* in force; NULL: the one of the start, which is the caller's */
        struct config *retired; /* was in force until now, and is not used any more once all workers
                                   have confirmed; NULL as above */
        /* valid while telling */
        struct reading reading; /* of a reload */
        struct policy *policy;  /* a reference */
        struct policy *before;  /* the one that was in force: a reference */
        struct worker_news news;
        int64_t day; /* since 1970, UTC, when everything was last judged by its end */
        int awaited; /* workers that have not confirmed */
        bool again;  /* another reload was asked for */
        struct strbuf message, restart;           /* what will be reported */
        struct strbuf told_message, told_restart; /* what was, last */
};

static const struct config *running(const struct reload *reload)
{
        return gateway_config(reload->setup.gateway);
}

int reload_new(const struct reload_setup *setup, struct reload **ret_reload)
{
        struct reload *reload = calloc(1, sizeof *reload);

        if (!reload)
                return -ENOMEM;
        reload->setup = *setup;
        reload->day = clock_wall_ms() / DAY_MS;
        strbuf_init(&reload->message, RELOAD_WORDS_BYTES_MAX * 3);
        strbuf_init(&reload->restart, RESTART_BYTES_MAX);
        strbuf_init(&reload->told_message, 0);
        strbuf_init(&reload->told_restart, 0);
        *ret_reload = reload;
        return 0;
}

static void reading_done(struct reading *reading)
{
        if (reading->loaded)
                tls_identities_free(reading->identities, reading->loaded->listen_count);
        if (reading->merged)
                credentials_free(reading->credentials, reading->merged->upstreams_count);
        gateway_change_free(reading->change);
        warnings_done(&reading->accounts);
        config_free(reading->merged);
        config_free(reading->loaded);
        *reading = (struct reading){0};
}

/* What was read is not needed any more. */
static void forget(struct reload *reload)
{
        reading_done(&reload->reading);
        policy_unref(reload->policy);
        reload->policy = NULL;
        policy_unref(reload->before);
        reload->before = NULL;
        config_free(reload->retired);
        reload->retired = NULL;
        reload->state = RELOAD_IDLE;
}

void reload_free(struct reload *reload)
{
        if (!reload)
                return;
        forget(reload);
        config_free(reload->owned);
        strbuf_done(&reload->message);
        strbuf_done(&reload->restart);
        strbuf_done(&reload->told_message);
        strbuf_done(&reload->told_restart);
        free(reload);
}

/* ---- the report ---- */

static const char *text_of(const struct strbuf *text)
{
        return text->data ? text->data : "";
}

/* Puts a text in the place of an older one, and makes it empty. */
static void hand_over(struct strbuf *text, struct strbuf *older)
{
        size_t max_bytes = text->max_bytes;

        strbuf_done(older);
        *older = *text;
        strbuf_init(text, max_bytes);
}

/* The message is there by now. What takes a restart is that of the last good file. */
static void report(struct reload *reload, bool ok, const struct warnings *found)
{
        hand_over(&reload->message, &reload->told_message);
        if (ok)
                hand_over(&reload->restart, &reload->told_restart);
        const struct reload_report report = {
                .at_wall_ms = clock_wall_ms(),
                .ok = ok,
                .message = text_of(&reload->told_message),
                .restart = text_of(&reload->told_restart),
                .warnings = found,
        };
        if (reload->setup.ended)
                reload->setup.ended(&report, reload->setup.arg);
}

bool reload_is_under_way(const struct reload *reload)
{
        return reload->state == RELOAD_TELLING && reload->reading.loaded;
}

/* A phrase of the message is a line of the log, too. */
static void say(struct reload *reload, const struct strbuf *phrase)
{
        if (phrase->len == 0)
                return;
        log_info("%s", phrase->data);
        (void)strbuf_printf(&reload->message, "%s%s", reload->message.len > 0 ? ". " : "",
                            phrase->data);
}

/* ---- the beginning ---- */

static bool same_listener(const struct config_listen *a, const struct config_listen *b)
{
        return a->port == b->port && config_url_same_address(a->address, b->address);
}

/*
 * Which listener of the loaded configuration a running one is: the one in its place, unless it has
 * moved. Returns listen_count where it is gone; then it runs on as it is until the restart.
 */
static size_t find_listener(const struct reload *reload, size_t i)
{
        const struct config_listen *listen = &running(reload)->listen[i];
        const struct config *loaded = reload->reading.loaded;

        if (i < loaded->listen_count && same_listener(listen, &loaded->listen[i]))
                return i;
        for (size_t j = 0; j < loaded->listen_count; j++) {
                if (same_listener(listen, &loaded->listen[j]))
                        return j;
        }
        return loaded->listen_count;
}

/* What was read for a listener that runs, or NULL. Whether it speaks TLS at all does not change
 * while it does. */
static struct tls_identity *identity_read(const struct reload *reload, size_t i)
{
        const struct reading *reading = &reload->reading;
        size_t j = find_listener(reload, i);

        if (j == reading->loaded->listen_count || !reload->setup.identities[i])
                return NULL;
        return reading->identities[j];
}

static void replace_identities(struct reload *reload)
{
        for (size_t i = 0; i < running(reload)->listen_count; i++) {
                struct tls_identity **place = &reload->setup.identities[i];
                struct tls_identity *identity = identity_read(reload, i);
                if (!identity)
                        continue;
                tls_identity_unref(*place);
                *place = tls_identity_ref(identity);
        }
}

/*
 * The configuration is sound by itself; but its listeners are not those that run. Who reaches one
 * that is not of the loopback interface must go on to need a token.
 */
static int check_door(const struct reload *reload, struct strbuf *problem)
{
        const struct config *config = running(reload);

        if (reload->reading.loaded->clients_count > 0)
                return 0;
        for (size_t i = 0; i < config->listen_count; i++) {
                const struct config_listen *listen = &config->listen[i];
                if (config_url_address(listen->address) == CONFIG_ADDRESS_LOOPBACK)
                        continue;
                problem_write(problem, config->file, 0,
                              "has no clients, but solvegate listens on %s port %d until it is "
                              "restarted, where everybody could spend; leave a client, or restart",
                              listen->address, listen->port);
                return -EINVAL;
        }
        return 0;
}

/* Makes everything that can fail. */
static int read_all(struct reload *reload, struct strbuf *problem)
{
        struct reading *reading = &reload->reading;
        int r = config_load(running(reload)->file, &reading->loaded, problem);

        if (r == 0)
                r = places_check(reading->loaded, problem);
        if (r == 0)
                r = check_door(reload, problem);
        if (r == 0)
                r = doors_check_upstreams(reload->setup.doors, reload->reading.loaded, problem);
        if (r == 0)
                r = config_merge(running(reload), reading->loaded, &reading->merged);
        if (r == 0)
                r = tls_identities_load(reading->loaded, &reading->identities, problem);
        if (r == 0)
                r = credentials_load(reading->merged, &reading->credentials, problem);
        if (r == 0)
                r = ca_files_check(reading->merged, problem);
        if (r == 0) {
                warnings_find_accounts(&reading->accounts, reading->merged, reading->credentials);
                r = gateway_prepare(reload->setup.gateway, reading->merged, reading->credentials,
                                    problem, &reading->change);
        }
        return r;
}

/* ---- what is different ---- */

static void warn_of_restart(void *arg, const char *key)
{
        struct strbuf *restart = arg;

        log_warning("%s has changed, which takes a restart: the old value stays", key);
        (void)strbuf_printf(restart, "%s%s", restart->len > 0 ? ", " : "", key);
}

/* `new certificate: 127.0.0.1:8443` */
static void describe_certificates(const struct reload *reload, struct strbuf *text)
{
        const char *before = "new certificate: ";
        char name[LISTENER_NAME_BYTES_MAX];

        for (size_t i = 0; i < running(reload)->listen_count; i++) {
                const struct tls_identity *identity = identity_read(reload, i);
                if (!identity || tls_identity_same(identity, reload->setup.identities[i]))
                        continue;
                listener_name(&running(reload)->listen[i], name);
                (void)strbuf_printf(text, "%s%s", before, name);
                before = ", ";
        }
}

/* Says what is going to be different, as long as what was in force is there to compare with. */
static void describe(struct reload *reload)
{
        const struct reading *reading = &reload->reading;
        const struct config *now = running(reload);
        struct strbuf phrases[4];
        const size_t count = sizeof phrases / sizeof *phrases;

        for (size_t i = 0; i < count; i++)
                strbuf_init(&phrases[i], RELOAD_WORDS_BYTES_MAX);
        reload_words_clients(gateway_policy(reload->setup.gateway),
                             gateway_change_policy(reading->change), &phrases[0]);
        reload_words_upstreams(reload->setup.gateway, reading->change, &phrases[1]);
        describe_certificates(reload, &phrases[2]);
        reload_words_keys(now, reading->merged, &phrases[3]);
        config_compare(now, reading->loaded, warn_of_restart, &reload->restart);
        for (size_t i = 0; i < count; i++) {
                say(reload, &phrases[i]);
                strbuf_done(&phrases[i]);
        }
        if (reload->message.len == 0)
                (void)strbuf_puts(&reload->message,
                                  reload->restart.len > 0
                                          ? "what may change without a restart is as before"
                                          : "nothing is different");
}

/* ---- telling ---- */

static void tell(struct reload *reload)
{
        const struct reload_setup *setup = &reload->setup;

        reload->state = RELOAD_TELLING;
        reload->again = false;
        reload->awaited = setup->worker_count;
        reload->news = (struct worker_news){reload->policy, setup->identities};
        if (setup->admin)
                server_reload(setup->admin, reload->policy, NULL);
        admin_socket_reload(setup->control, reload->policy);
        for (int i = 0; i < setup->worker_count; i++)
                worker_reload(setup->workers[i], &reload->news);
}

/* What may be open at the start may be open now. */
static void set_connections(const struct reload_setup *setup, const struct config *config)
{
        struct files_plan plan;

        if (files_share(setup->files, config, &plan, NULL) == 0)
                files_apply(&plan, setup->shared);
        atomic_store(&setup->shared->connections_per_address_max,
                     config->limits.connections_per_address);
}

/* Puts what was read in force. The configuration that was is still being used by workers. */
static void apply(struct reload *reload)
{
        const struct reload_setup *setup = &reload->setup;
        struct reading *reading = &reload->reading;
        const struct config *config = reading->merged;

        replace_identities(reload);
        reload->before = policy_ref(gateway_policy(setup->gateway));
        reload->policy = policy_ref(gateway_change_policy(reading->change));
        gateway_apply(setup->gateway, reading->change);
        reload->retired = reload->owned;
        reload->owned = reading->merged;
        credentials_free(reading->credentials, config->upstreams_count);
        reading->credentials = NULL;
        reading->merged = NULL;
        set_connections(setup, config);
        log_init((enum log_level)config->log.level, (enum log_format)config->log.format);
}

static void refuse(struct reload *reload, int error, const struct strbuf *problem)
{
        const char *why = problem->len > 0 ? problem->data : strerror(-error);

        log_error("not reloaded, the running configuration stays: %s", why);
        forget(reload);
        gateway_reopen_audit(reload->setup.gateway); /* it may have been rotated even so */
        (void)strbuf_puts(&reload->message, why);
        report(reload, false, NULL);
}

void reload_begin(struct reload *reload)
{
        struct strbuf problem;

        if (reload->state == RELOAD_TELLING) {
                reload->again = true;
                return;
        }
        strbuf_init(&problem, PROBLEM_BYTES_MAX);
        int r = read_all(reload, &problem);
        if (r < 0) {
                refuse(reload, r, &problem);
        } else {
                describe(reload);
                apply(reload);
                tell(reload);
        }
        strbuf_done(&problem);
}

/* Clients and sites end with a day: then the policy is the same, and what it says is not. */
void reload_tick(struct reload *reload)
{
        int64_t day = clock_wall_ms() / DAY_MS;

        if (day == reload->day || reload->state == RELOAD_TELLING)
                return;
        reload->day = day;
        reload->policy = policy_ref(gateway_policy(reload->setup.gateway));
        tell(reload);
}

/* ---- the end ---- */

static void say_counts(struct reload *reload, const struct entry_unwanted_counts *counts)
{
        struct strbuf phrase;

        strbuf_init(&phrase, RELOAD_WORDS_BYTES_MAX);
        reload_words_jobs(counts, &phrase);
        if (reload->reading.loaded)
                say(reload, &phrase);
        else if (phrase.len > 0) /* a day is over: nobody has asked */
                log_info("%s", phrase.data);
        strbuf_done(&phrase);
}

/* Who does not reload for weeks is warned all the same. */
static void finish_day(struct reload *reload)
{
        struct warnings found = {0};

        log_info("a day is over: clients and sites that end with it are refused from now on");
        warnings_find(&found, running(reload), reload->setup.identities);
        warnings_log_urgent(&found);
        warnings_done(&found);
        forget(reload);
}

static void finish_reload(struct reload *reload)
{
        const struct reload_setup *setup = &reload->setup;
        const struct config *loaded = reload->reading.loaded;
        struct warnings found = {.logs = true};

        gateway_reopen_audit(setup->gateway);
        if (policy_everyone(reload->policy) && !policy_everyone(reload->before))
                warnings_add(&found, WARNING_URGENT,
                             "there are no clients any more: everyone on this machine may call "
                             "without a token");
        warnings_find(&found, loaded, reload->reading.identities);
        warnings_add_notes(&found, &reload->reading.accounts);
        warnings_find_files(&found, running(reload), setup->files);
        const struct log_field fields[] = {
                LOG_TEXT("file", loaded->file),
                LOG_INTEGER("clients", (int64_t)loaded->clients_count),
                LOG_INTEGER("sites", (int64_t)loaded->sites.allow.count),
                LOG_INTEGER("origins", (int64_t)loaded->origins.count),
        };
        log_event(LOG_LEVEL_INFO, "reloaded", fields, sizeof fields / sizeof *fields);
        forget(reload);
        report(reload, true, &found);
        warnings_done(&found);
}

/* What waits and is not to be sent any more was taken off. */
static void on_cancelled(void *arg, const struct entry_unwanted_counts *counts)
{
        struct reload *reload = arg;

        say_counts(reload, counts);
        for (int i = 0; i < reload->setup.worker_count; i++)
                worker_kick(reload->setup.workers[i]);
        if (reload->reading.loaded)
                finish_reload(reload);
        else
                finish_day(reload);
        if (reload->again)
                reload->setup.again(reload->setup.arg);
}

void reload_confirm(struct reload *reload)
{
        assert(reload->state == RELOAD_TELLING && reload->awaited > 0);
        if (--reload->awaited == 0)
                gateway_cancel_unwanted(reload->setup.gateway, reload->setup.loop, on_cancelled,
                                        reload);
}
