/*
 * service: see service.h.
 *
 * Stopping goes in steps, each on the main loop: a signal closes the scheduler, and what was not
 * sent yet is left to the store, or cancelled without one; when nothing is under way, or
 * limits.drain_timeout has ended what is, every worker answers the requests it still has; when all
 * have, and the store has answered, they are stopped and freed. On a socket that was passed nobody
 * is accepted from the signal on.
 *
 * The service manager is told of each step (notify), and that every loop turns (heartbeat).
 */
#include "daemon/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/loop.h"
#include "base/signals.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/credential.h"
#include "daemon/admin_socket.h"
#include "daemon/doors.h"
#include "daemon/files.h"
#include "daemon/heartbeat.h"
#include "daemon/notify.h"
#include "daemon/notify_status.h"
#include "daemon/operator.h"
#include "daemon/reload.h"
#include "daemon/warnings.h"
#include "daemon/worker.h"
#include "gateway/gateway.h"
#include "gateway/gateway_reload.h"
#include "gateway/gateway_service.h"
#include "gateway/gateway_sweep.h"
#include "gateway/recover.h"
#include "http/listener.h"
#include "http/server.h"
#include "http/tally.h"
#include "upstream/transfer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE_TICK_MS     5
#define STATUS_TICK_MS    1000
#define TICK_MS           200 /* how exactly a deadline in the queue is kept */
#define SWEEP_AGAIN_MS    20  /* while there are more results to be dropped */
#define PROBLEM_BYTES_MAX 4096

struct service {
        const struct config *config;      /* of the start; gateway_config() has the one in force */
        struct tls_identity **identities; /* of the listeners, in force */
        const struct activation *activation;
        struct notify notify;
        struct heartbeat *heartbeat; /* NULL: there is nobody to tell */
        struct gateway *gateway;
        struct loop *loop;
        struct files files;
        struct server_shared shared;
        struct tally *tally; /* of all servers */
        struct doors doors;
        struct server_shared admin_shared; /* operators have connections of their own */
        struct server *admin;              /* for operators, on the main loop; NULL: none */
        struct server_shared control_shared;
        struct admin_socket control;     /* likewise on the main loop */
        struct operator_state operators; /* what both are served with */
        struct worker **workers;         /* worker_count were made */
        int worker_count;
        int workers_started;
        int finished; /* how many workers have */
        struct reload *reload;
        struct loop_timer *tick;
        struct loop_timer *sweep_timer;
        struct loop_timer *status_timer;
        struct loop_timer *drain_timer;
        struct loop_timer *store_timer;
        struct mail idle;
        struct signals *signals;
        bool draining;
};

static struct service *service_of_idle(struct mail *mail)
{
        return (struct service *)((char *)mail - offsetof(struct service, idle));
}

/* ---- what the service manager is told ---- */

static void on_status_tick(void *arg)
{
        struct service *service = arg;
        char status[NOTIFY_STATUS_BYTES_MAX];

        notify_status_write(service->gateway, service->notify.state, status);
        notify_status(&service->notify, status);
}

static void on_alive(void *arg)
{
        struct service *service = arg;

        notify_alive(&service->notify);
}

/* It hears a beat as long as the loops run, thus also while they drain. */
static int start_telling(struct service *service)
{
        const struct heartbeat_setup setup = {
                .main_loop = service->loop,
                .alive = on_alive,
                .arg = service,
                .beat_ms = notify_beat_ms(&service->notify),
        };

        if (!service->notify.enabled)
                return 0;
        int r = heartbeat_new(&setup, (size_t)service->worker_count, &service->heartbeat);
        if (r < 0)
                return r;
        for (int i = 0; i < service->worker_count; i++)
                heartbeat_add(service->heartbeat, worker_loop(service->workers[i]));
        heartbeat_start(service->heartbeat);
        loop_timer_start(service->status_timer, STATUS_TICK_MS, STATUS_TICK_MS);
        return 0;
}

/* ---- stopping ---- */

static void on_idle(struct mail *mail)
{
        struct service *service = service_of_idle(mail);

        notify_ending(&service->notify);
        loop_timer_stop(service->drain_timer);
        loop_timer_stop(service->sweep_timer);
        loop_timer_stop(service->tick); /* from here on it could only begin what nobody ends */
        gateway_give_up(service->gateway);
        admin_socket_finish(&service->control);
        for (int i = 0; i < service->worker_count; i++)
                worker_finish(service->workers[i]);
}

static void on_worker_finished(void *arg)
{
        struct service *service = arg;

        if (++service->finished == service->worker_count)
                loop_timer_start(service->store_timer, 0, STORE_TICK_MS);
}

/* What is on its way to the store comes back by mail to the loops, which stay until then. */
static void on_store_tick(void *arg)
{
        struct service *service = arg;

        gateway_give_up(service->gateway);
        if (gateway_writes(service->gateway))
                return;
        /* An operator who has cancelled a job is told so as soon as that is written. */
        if (admin_socket_close(&service->control))
                loop_stop(service->loop);
}

static void on_drain_timeout(void *arg)
{
        struct service *service = arg;

        gateway_log_unfinished(service->gateway);
        notify_ending(&service->notify);
        gateway_give_up(service->gateway);
        for (int i = 0; i < service->worker_count; i++)
                worker_abort(service->workers[i]);
}

static void on_stop_signal(struct service *service, int number)
{
        char status[NOTIFY_STATUS_BYTES_MAX], name[SIGNALS_NAME_BYTES_MAX];

        signals_name(number, name);
        if (service->draining) {
                log_warning("%s again: exiting at once", name);
                _exit(EXIT_FAILURE);
        }
        log_info("%s: draining: no more jobs are taken or sent, those under way are finished",
                 name);
        service->draining = true;
        operator_stop(&service->operators);
        notify_status_write(service->gateway, NOTIFY_STOPPING, status);
        notify_stopping(&service->notify, status);
        for (int i = 0; i < service->worker_count; i++)
                worker_drain(service->workers[i]);
        loop_timer_start(service->drain_timer,
                         gateway_config(service->gateway)->limits.drain_timeout_ms, 0);
        gateway_drain(service->gateway, service->loop, &service->idle);
}

/* ---- reloading ---- */

static void begin_reload(void *arg)
{
        struct service *service = arg;

        notify_reloading(&service->notify);
        admin_socket_restore(&service->control);
        reload_begin(service->reload);
}

static bool reload_under_way(void *arg)
{
        const struct service *service = arg;

        return reload_is_under_way(service->reload);
}

static void on_reload_signal(struct service *service)
{
        if (service->draining) {
                log_info("SIGHUP ignored: solvegate is stopping");
                signals_drop_hangup(service->signals); /* a flood would fill the log */
        } else {
                begin_reload(service);
        }
}

/* What operators should look at. */
static void attend(struct service *service, bool always)
{
        operator_attend(&service->operators, gateway_config(service->gateway), service->identities,
                        always);
}

static void on_reload_ended(const struct reload_report *report, void *arg)
{
        struct service *service = arg;
        char status[NOTIFY_STATUS_BYTES_MAX];

        operator_reload_ended(report, &service->operators);
        attend(service, true);
        notify_status_write(service->gateway, service->notify.state, status);
        notify_reloaded(&service->notify, status);
}

static void on_reload_again(void *arg)
{
        on_reload_signal(arg);
}

static void on_worker_reloaded(void *arg)
{
        struct service *service = arg;

        reload_confirm(service->reload);
}

/* ---- starting ---- */

static void on_signal(void *arg, int number)
{
        struct service *service = arg;

        if (number == SIGHUP)
                on_reload_signal(service);
        else
                on_stop_signal(service, number);
}

static void on_sweep(void *arg)
{
        struct service *service = arg;

        if (gateway_sweep(service->gateway))
                loop_timer_start(service->sweep_timer, SWEEP_AGAIN_MS, 0);
}

static void on_tick(void *arg)
{
        struct service *service = arg;

        gateway_tick(service->gateway, service->loop);
        on_sweep(service);
        log_limits_tell(clock_monotonic_us());
        attend(service, false);
        admin_socket_tick(&service->control);
        if (!service->draining)
                reload_tick(service->reload);
}

static int open_doors(struct service *service, struct strbuf *problem)
{
        int r = doors_open(service->config, service->activation, &service->doors, problem);

        if (r == 0)
                r = doors_check_upstreams(&service->doors, service->config, problem);
        service->operators.view.listeners = service->doors.tools;
        service->operators.view.listener_count = service->doors.tool_count;
        service->operators.view.identities = service->identities;
        return r;
}

static int make_admin(struct service *service)
{
        const struct server_setup setup = {
                .kind = SERVER_FOR_OPERATORS,
                .gateway = service->gateway,
                .loop = service->loop,
                .shared = &service->admin_shared,
                .tally = service->tally,
                .listener = &service->doors.admin,
                .hooks = &service->operators.hooks,
                .policy = gateway_policy(service->gateway),
        };

        return service->config->admin.address ? server_new(&setup, &service->admin) : 0;
}

static int make_control(struct service *service)
{
        const struct server_setup setup = {
                .kind = SERVER_FOR_CONTROL,
                .gateway = service->gateway,
                .loop = service->loop,
                .shared = &service->control_shared,
                .tally = service->tally,
                .listener = &service->doors.control,
                .hooks = &service->operators.hooks,
                .policy = gateway_policy(service->gateway),
        };

        return admin_socket_open(&service->control, &setup, service->config, &service->doors);
}

static int make_workers(struct service *service)
{
        int r = 0;

        service->workers = calloc((size_t)service->config->workers, sizeof(struct worker *));
        if (!service->workers)
                return -ENOMEM;
        for (int i = 0; r == 0 && i < service->config->workers; i++) {
                struct worker_setup setup = {
                        .gateway = service->gateway,
                        .shared = &service->shared,
                        .tally = service->tally,
                        .listeners = service->doors.tools,
                        .listener_count = service->doors.tool_count,
                        .index = i,
                        .main_loop = service->loop,
                        .news = {gateway_policy(service->gateway), service->identities},
                        .reloaded = on_worker_reloaded,
                        .finished = on_worker_finished,
                        .arg = service,
                };
                r = worker_new(&setup, &service->workers[i]);
                if (r == 0)
                        service->worker_count++;
        }
        return r;
}

static int make_reload(struct service *service)
{
        const struct reload_setup setup = {
                .gateway = service->gateway,
                .loop = service->loop,
                .doors = &service->doors,
                .workers = service->workers,
                .worker_count = service->worker_count,
                .shared = &service->shared,
                .files = &service->files,
                .admin = service->admin,
                .control = &service->control,
                .identities = service->identities,
                .ended = on_reload_ended,
                .again = on_reload_again,
                .arg = service,
        };
        int r = reload_new(&setup, &service->reload);

        if (r < 0)
                return r;
        service->operators.reloader =
                (struct operator_reloader){service, begin_reload, reload_under_way};
        service->operators.asker = service->workers[0];
        return 0;
}

/* Signals go to the main thread alone: the others, and those of libraries, inherit a full mask. */
static int start_workers(struct service *service)
{
        sigset_t all, before;
        int r = 0;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        r = gateway_start(service->gateway);
        for (int i = 0; r == 0 && i < service->worker_count; i++) {
                r = worker_start(service->workers[i]);
                service->workers_started += r == 0;
        }
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r < 0 && service->workers_started > 0) {
                /* Those that run may hold requests already, which nothing will answer. */
                log_error("cannot start a thread: %s", strerror(-r));
                _exit(EXIT_FAILURE);
        }
        return r;
}

static void on_reading(void *arg, int64_t done, int64_t all)
{
        struct service *service = arg;

        notify_reading(&service->notify, done, all);
}

/* On failure writes to problem what strerror() could not tell. */
static int service_open(struct service *service, struct strbuf *problem)
{
        int r = loop_new(&service->loop);

        if (r == 0)
                r = tally_new(&service->tally);
        if (r == 0)
                r = loop_timer_new(service->loop, on_tick, service, &service->tick);
        if (r == 0)
                r = loop_timer_new(service->loop, on_sweep, service, &service->sweep_timer);
        if (r == 0)
                r = loop_timer_new(service->loop, on_status_tick, service, &service->status_timer);
        if (r == 0)
                r = loop_timer_new(service->loop, on_drain_timeout, service, &service->drain_timer);
        if (r == 0)
                r = loop_timer_new(service->loop, on_store_tick, service, &service->store_timer);
        if (r == 0)
                r = signals_open(service->loop, on_signal, service, &service->signals);
        if (r == 0)
                r = open_doors(service, problem);
        if (r == 0)
                r = make_admin(service);
        if (r == 0)
                r = make_control(service);
        if (r == 0)
                r = make_workers(service);
        if (r == 0)
                r = make_reload(service);
        if (r == 0)
                r = start_telling(service);
        if (r == 0)
                r = start_workers(service);
        return r;
}

static void service_close(struct service *service)
{
        for (int i = 0; i < service->worker_count; i++)
                worker_free(service->workers[i]);
        free(service->workers);
        heartbeat_free(service->heartbeat);
        server_free(service->admin);
        admin_socket_free(&service->control);
        doors_close(&service->doors);
        operator_done(&service->operators);
        tally_free(service->tally);
        signals_free(service->signals);
        loop_timer_free(service->drain_timer);
        loop_timer_free(service->store_timer);
        loop_timer_free(service->tick);
        loop_timer_free(service->sweep_timer);
        loop_timer_free(service->status_timer);
        loop_free(service->loop);
        gateway_free(service->gateway);
        reload_free(service->reload); /* with the configuration that all before went by */
}

/* What an operator should know at each start. */
static void tell_start(const struct config *config, struct tls_identity *const *identities,
                       struct credential *const *credentials, const struct files *files)
{
        const struct log_field fields[] = {
                LOG_TEXT("file", config->file),
                LOG_INTEGER("pid", getpid()),
                LOG_INTEGER("upstreams", (int64_t)config->upstreams_count),
                LOG_INTEGER("sites", (int64_t)config->sites.allow.count),
                LOG_INTEGER("workers", config->workers),
        };
        struct warnings found = {.logs = true};

        log_event(LOG_LEVEL_INFO, "solvegate " SOLVEGATE_VERSION, fields,
                  sizeof fields / sizeof *fields);
        warnings_find(&found, config, identities);
        warnings_find_accounts(&found, config, credentials);
        warnings_find_files(&found, config, files);
        warnings_done(&found);
}

static int share_files(struct service *service, struct strbuf *problem)
{
        struct files_plan plan;
        int r = files_share(&service->files, service->config, &plan, problem);

        if (r < 0)
                return r;
        transfer_limit_files(plan.fd_max);
        files_apply(&plan, &service->shared);
        files_apply_operators(&plan, &service->admin_shared);
        files_apply_operators(&plan, &service->control_shared);
        return 0;
}

/* The store's lock comes first: it says that another daemon runs. */
static int make_gateway(struct service *service, struct credential **credentials,
                        const struct service_backends *backends, struct strbuf *problem)
{
        const struct recover_hook hook = {on_reading, service};
        const struct config *config = service->config;
        struct gateway_backends made = {.make_arbiter = backends->make_arbiter};
        int r = 0;

        if (config->durability == DURABILITY_FULL)
                r = backends->open_store(config->state_directory, &made.store, problem);
        if (r == 0)
                r = gateway_new(config, &made, credentials, &hook, problem, &service->gateway);
        return r;
}

static void tell_ready(struct service *service)
{
        char status[NOTIFY_STATUS_BYTES_MAX];

        doors_tell_ready(&service->doors);
        notify_status_write(service->gateway, NOTIFY_READY, status);
        notify_ready(&service->notify, status);
}

int service_run(const struct config *config, struct credential **credentials,
                struct tls_identity **identities, const struct activation *activation,
                const struct service_backends *backends)
{
        struct service service = {
                .config = config,
                .identities = identities,
                .activation = activation,
                .shared.connections_per_address_max = config->limits.connections_per_address,
                .shared.by_address = true,
                .shared.peers = PEERS_INIT,
                .idle.deliver = on_idle,
        };
        struct strbuf problem;

        operator_init(&service.operators, config->file, &service.shared);
        strbuf_init(&problem, PROBLEM_BYTES_MAX);
        notify_init(&service.notify);
        notify_starting(&service.notify);
        files_init(&service.files);
        tell_start(config, identities, credentials, &service.files);
        int r = share_files(&service, &problem);
        if (r == 0)
                r = make_gateway(&service, credentials, backends, &problem);
        if (r == 0)
                r = transfer_global_init();
        if (r == 0)
                attend(&service, true);
        if (r == 0)
                r = service_open(&service, &problem);
        if (r == 0) {
                loop_timer_start(service.tick, TICK_MS, TICK_MS);
                tell_ready(&service);
                loop_run(service.loop);
                log_limits_tell(INT64_MAX);
                notify_alive(&service.notify); /* what is left takes a moment */
                log_info("stopped");
        }
        service_close(&service);
        transfer_global_done();
        if (r < 0) {
                const char *text = problem.len > 0 ? problem.data : strerror(-r);
                log_error("cannot start: %s", text);
                notify_failed(&service.notify, text);
        }
        strbuf_done(&problem);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
