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
#include "config/problem.h"
#include "daemon/identities.h"
#include "daemon/warnings.h"
#include "daemon/worker.h"
#include "engine/gateway.h"
#include "http/server.h"
#include "http/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_BYTES_MAX 4096
#define DAY_MS            INT64_C(86400000)
#define NAMES_BYTES_MAX   240 /* of the clients with one kind of change in a line of the log */

enum reload_state {
        RELOAD_IDLE,
        RELOAD_TELLING, /* the workers are told, and have not all confirmed */
};

struct reload {
        struct reload_setup setup;
        enum reload_state state;
        /* valid while telling */
        struct config *loaded;
        struct tls_identity **identities; /* of the listeners of the loaded one */
        struct policy *policy;            /* a reference */
        struct policy *before;            /* the one that was in force: a reference */
        struct worker_news news;
        int64_t day; /* since 1970, UTC, when everything was last judged by its end */
        int awaited; /* workers that have not confirmed */
        bool again;  /* another reload was asked for */
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
        *ret_reload = reload;
        return 0;
}

/* What was read is not needed any more. */
static void forget(struct reload *reload)
{
        if (reload->loaded)
                identities_free(reload->identities, reload->loaded->listen_count);
        reload->identities = NULL;
        policy_unref(reload->policy);
        reload->policy = NULL;
        policy_unref(reload->before);
        reload->before = NULL;
        config_free(reload->loaded);
        reload->loaded = NULL;
        reload->state = RELOAD_IDLE;
}

void reload_free(struct reload *reload)
{
        if (!reload)
                return;
        forget(reload);
        free(reload);
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
        const struct config *loaded = reload->loaded;

        if (i < loaded->listen_count && same_listener(listen, &loaded->listen[i]))
                return i;
        for (size_t j = 0; j < loaded->listen_count; j++) {
                if (same_listener(listen, &loaded->listen[j]))
                        return j;
        }
        return loaded->listen_count;
}

/* Whether a listener speaks TLS at all does not change while it runs. */
static void replace_identities(struct reload *reload)
{
        for (size_t i = 0; i < running(reload)->listen_count; i++) {
                struct tls_identity **place = &reload->setup.identities[i];
                size_t j = find_listener(reload, i);
                if (j == reload->loaded->listen_count || !*place || !reload->identities[j])
                        continue;
                tls_identity_unref(*place);
                *place = tls_identity_ref(reload->identities[j]);
        }
}

/*
 * The configuration is sound by itself; but its listeners are not those that run. Who reaches one
 * that is not of the loopback interface must go on to need a token.
 */
static int check_door(const struct reload *reload, struct strbuf *problem)
{
        const struct config *config = running(reload);

        if (reload->loaded->clients_count > 0)
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
        int r = config_load(running(reload)->file, &reload->loaded, problem);

        if (r == 0)
                r = check_door(reload, problem);
        if (r == 0)
                r = identities_load(reload->loaded, &reload->identities, problem);
        if (r == 0)
                r = gateway_prepare(reload->setup.gateway, reload->loaded, &reload->policy);
        return r;
}

static void tell(struct reload *reload)
{
        const struct reload_setup *setup = &reload->setup;

        reload->state = RELOAD_TELLING;
        reload->again = false;
        reload->awaited = setup->worker_count;
        reload->news = (struct worker_news){reload->policy, setup->identities};
        if (setup->admin)
                server_reload(setup->admin, reload->policy, NULL);
        for (int i = 0; i < setup->worker_count; i++)
                worker_reload(setup->workers[i], &reload->news);
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
                log_error("not reloaded, the running configuration stays: %s",
                          problem.len > 0 ? problem.data : strerror(-r));
                forget(reload);
                gateway_reopen_audit(reload->setup.gateway); /* it may have been rotated even so */
        } else {
                replace_identities(reload);
                reload->before = policy_ref(gateway_policy(reload->setup.gateway));
                gateway_apply(reload->setup.gateway, reload->policy);
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

static void warn_of_restart(void *arg, const char *key)
{
        (void)arg;
        log_warning("%s has changed, which takes a restart: the old value stays", key);
}

/* Clients with one kind of change: as many as fit a line. */
struct names {
        struct strbuf text;
        size_t count, shown;
};

static void add_name(void *arg, enum policy_change change, const char *client)
{
        static const char *const signs[POLICY_CHANGE_COUNT] = {
                [POLICY_CLIENT_NEW] = "+",
                [POLICY_CLIENT_GONE] = "-",
        };
        struct names *names = &((struct names *)arg)[change];
        const char *between = names->count == 0 ? "" : signs[change] ? " " : ", ";

        names->count++;
        if (strbuf_printf(&names->text, "%s%s%s", between, signs[change] ? signs[change] : "",
                          client) == 0)
                names->shown++;
}

/* One line; none where all are as they were. */
static void tell_clients(const struct policy *before, const struct policy *after)
{
        static const char *const titles[POLICY_CHANGE_COUNT] = {
                [POLICY_CLIENT_NEW] = "",
                [POLICY_CLIENT_GONE] = "",
                [POLICY_CLIENT_TOKEN] = "new token: ",
                [POLICY_CLIENT_LIMITS] = "other limits: ",
                [POLICY_CLIENT_SITES] = "other sites: ",
                [POLICY_CLIENT_END] = "other end: ",
        };
        struct names names[POLICY_CHANGE_COUNT] = {0};
        struct strbuf line;

        strbuf_init(&line, POLICY_CHANGE_COUNT * (NAMES_BYTES_MAX + 64));
        for (size_t i = 0; i < POLICY_CHANGE_COUNT; i++)
                strbuf_init(&names[i].text, NAMES_BYTES_MAX);
        policy_compare(before, after, add_name, names);
        for (size_t i = 0; i < POLICY_CHANGE_COUNT; i++) {
                if (names[i].shown > 0)
                        (void)strbuf_printf(&line, "%s%s%s",
                                            line.len > 0 && titles[i][0] ? "; " : " ", titles[i],
                                            names[i].text.data);
                if (names[i].shown > 0 && names[i].count > names[i].shown)
                        (void)strbuf_printf(&line, " and %zu more",
                                            names[i].count - names[i].shown);
                strbuf_done(&names[i].text);
        }
        if (line.len > 0)
                log_info("clients:%s", line.data);
        strbuf_done(&line);
}

static void finish_day(struct reload *reload)
{
        log_info("a day is over: clients and sites that end with it are refused from now on");
        forget(reload);
}

static void finish_reload(struct reload *reload)
{
        const struct reload_setup *setup = &reload->setup;
        const struct config *loaded = reload->loaded;

        gateway_reopen_audit(setup->gateway);
        if (policy_everyone(reload->policy) && !policy_everyone(reload->before))
                log_warning("there are no clients any more: everyone on this machine may call "
                            "without a token");
        config_compare(running(reload), loaded, warn_of_restart, NULL);
        warnings_log(loaded, reload->identities);
        tell_clients(reload->before, reload->policy);
        log_info("reloaded %s: clients=%zu sites=%zu origins=%zu", loaded->file,
                 loaded->clients_count, loaded->sites.allow.count, loaded->origins.count);
        forget(reload);
}

bool reload_confirm(struct reload *reload)
{
        assert(reload->state == RELOAD_TELLING && reload->awaited > 0);
        if (--reload->awaited > 0)
                return false;
        gateway_cancel_unwanted(reload->setup.gateway, reload->setup.loop);
        for (int i = 0; i < reload->setup.worker_count; i++)
                worker_kick(reload->setup.workers[i]);
        if (reload->loaded)
                finish_reload(reload);
        else
                finish_day(reload);
        return reload->again;
}
