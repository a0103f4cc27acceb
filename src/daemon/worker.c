/*
 * worker: see worker.h. Main tells a worker by mail only; each mail is part of the worker.
 */
#include "daemon/worker.h"

#include "config/config.h"
#include "gateway/balance.h"
#include "gateway/gateway.h"
#include "gateway/gateway_service.h"
#include "http/listener.h"
#include "http/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define FINISH_TICK_MS 5
#define FINISH_TICKS   400 /* two seconds for requests that are still coming in or going out */

struct told {
        struct mail mail;
        struct worker *worker;
};

struct worker {
        struct worker_setup setup;
        struct loop *loop;
        struct forwarder *forwarder;
        struct server **servers; /* one for each listener */
        struct loop_timer *finish_timer;
        struct loop_timer *balance_timer; /* of the first worker; else it is not started */
        int64_t balance_ms;               /* how often it ticks */
        int finish_ticks;
        pthread_t thread;
        bool started;
        const struct worker_news *news; /* valid while reload is on the way */
        struct told begin, ask_balances, reload, reloaded, kick, drain, abort, finish, stop,
                finished;
        _Atomic bool asking_balances; /* ask_balances is on the way */
};

/* Whether there are requests, or some may be about to come. */
static bool any_request(const struct worker *worker)
{
        for (size_t i = 0; i < worker->setup.listener_count; i++) {
                const struct server *server = worker->servers[i];
                if (server_requests(server) > 0 || server_expects(server))
                        return true;
        }
        return false;
}

/* One of the workers asks; from the start on, and by another rhythm after a reload has changed it.
 */
static void set_balance_timer(struct worker *worker)
{
        int64_t balance_ms = gateway_config(worker->setup.gateway)->poll.balance_ms;

        if (worker->setup.index != 0 || balance_ms == worker->balance_ms)
                return;
        worker->balance_ms = balance_ms;
        loop_timer_start(worker->balance_timer, balance_ms, balance_ms);
}

static void on_balance_tick(void *arg)
{
        const struct worker *worker = arg;

        balances_refresh(gateway_balances(worker->setup.gateway), worker->forwarder,
                         BALANCE_BY_THE_CLOCK);
}

static void on_begin(struct mail *mail)
{
        struct worker *worker = ((struct told *)mail)->worker;

        set_balance_timer(worker);
        gateway_begin(worker->setup.gateway, worker->forwarder, worker->setup.index == 0);
}

static void on_ask_balances(struct mail *mail)
{
        struct worker *worker = ((struct told *)mail)->worker;

        atomic_store(&worker->asking_balances, false);
        balances_refresh(gateway_balances(worker->setup.gateway), worker->forwarder,
                         BALANCE_FOR_OPERATORS);
}

static void on_reload(struct mail *mail)
{
        struct worker *worker = ((struct told *)mail)->worker;
        const struct worker_news *news = worker->news;

        for (size_t i = 0; i < worker->setup.listener_count; i++)
                server_reload(worker->servers[i], news->policy, news->identities[i]);
        gateway_renew(worker->setup.gateway, worker->forwarder, worker->setup.index == 0);
        set_balance_timer(worker);
        loop_post(worker->setup.main_loop, &worker->reloaded.mail);
}

static void on_reloaded(struct mail *mail)
{
        const struct worker_setup *setup = &((struct told *)mail)->worker->setup;

        setup->reloaded(setup->arg);
}

static void on_kick(struct mail *mail)
{
        gateway_kick(((struct told *)mail)->worker->forwarder);
}

static void on_drain(struct mail *mail)
{
        const struct worker *worker = ((struct told *)mail)->worker;

        for (size_t i = 0; i < worker->setup.listener_count; i++)
                server_drain(worker->servers[i]);
}

static void on_abort(struct mail *mail)
{
        gateway_abort(((struct told *)mail)->worker->forwarder);
}

static void on_finished(struct mail *mail)
{
        const struct worker_setup *setup = &((struct told *)mail)->worker->setup;

        setup->finished(setup->arg);
}

static void on_finish_tick(void *arg)
{
        struct worker *worker = arg;

        bool none_held = true;

        if (any_request(worker) && ++worker->finish_ticks < FINISH_TICKS)
                return;
        for (size_t i = 0; i < worker->setup.listener_count; i++)
                none_held = server_close(worker->servers[i]) && none_held;
        if (!none_held)
                return;
        loop_timer_stop(worker->finish_timer);
        loop_post(worker->setup.main_loop, &worker->finished.mail);
}

static void on_finish(struct mail *mail)
{
        struct worker *worker = ((struct told *)mail)->worker;

        loop_timer_stop(worker->balance_timer);
        balances_close(gateway_balances(worker->setup.gateway), worker->forwarder);
        for (size_t i = 0; i < worker->setup.listener_count; i++)
                server_finish(worker->servers[i]);
        loop_timer_start(worker->finish_timer, 0, FINISH_TICK_MS);
}

/* Frees what lives on the loop; nothing may be posted to it any more. */
static void close_loop(struct worker *worker)
{
        for (size_t i = 0; worker->servers && i < worker->setup.listener_count; i++)
                server_free(worker->servers[i]);
        free(worker->servers);
        gateway_free_forwarder(worker->forwarder);
        loop_timer_free(worker->finish_timer);
        loop_timer_free(worker->balance_timer);
        loop_free(worker->loop);
}

static void on_stop(struct mail *mail)
{
        loop_stop(((struct told *)mail)->worker->loop);
}

static int make_servers(struct worker *worker)
{
        const struct worker_setup *setup = &worker->setup;
        int r = 0;

        worker->servers = calloc(setup->listener_count, sizeof(struct server *));
        if (!worker->servers)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < setup->listener_count; i++) {
                struct server_setup server = {
                        .gateway = setup->gateway,
                        .forwarder = worker->forwarder,
                        .loop = worker->loop,
                        .shared = setup->shared,
                        .tally = setup->tally,
                        .listener = &setup->listeners[i],
                        .socket_index = setup->index,
                        .policy = setup->news.policy,
                        .identity = setup->news.identities[i],
                };
                r = server_new(&server, &worker->servers[i]);
        }
        return r;
}

int worker_new(const struct worker_setup *setup, struct worker **ret_worker)
{
        struct gateway *gateway = setup->gateway;
        struct worker *worker = calloc(1, sizeof *worker);

        if (!worker)
                return -ENOMEM;
        worker->setup = *setup;
        worker->begin = (struct told){.mail.deliver = on_begin, .worker = worker};
        worker->reload = (struct told){.mail.deliver = on_reload, .worker = worker};
        worker->ask_balances = (struct told){.mail.deliver = on_ask_balances, .worker = worker};
        worker->kick = (struct told){.mail.deliver = on_kick, .worker = worker};
        worker->reloaded = (struct told){.mail.deliver = on_reloaded, .worker = worker};
        worker->drain = (struct told){.mail.deliver = on_drain, .worker = worker};
        worker->abort = (struct told){.mail.deliver = on_abort, .worker = worker};
        worker->finish = (struct told){.mail.deliver = on_finish, .worker = worker};
        worker->stop = (struct told){.mail.deliver = on_stop, .worker = worker};
        worker->finished = (struct told){.mail.deliver = on_finished, .worker = worker};
        int r = loop_new(&worker->loop);
        if (r < 0) {
                free(worker);
                return r;
        }
        r = loop_timer_new(worker->loop, on_finish_tick, worker, &worker->finish_timer);
        if (r == 0)
                r = loop_timer_new(worker->loop, on_balance_tick, worker, &worker->balance_timer);
        if (r == 0)
                r = gateway_new_forwarder(gateway, worker->loop, &worker->forwarder);
        if (r == 0)
                r = make_servers(worker);
        if (r < 0) {
                worker_free(worker);
                return r;
        }
        *ret_worker = worker;
        return 0;
}

static void *worker_run(void *arg)
{
        struct worker *worker = arg;

        loop_run(worker->loop);
        return NULL;
}

int worker_start(struct worker *worker)
{
        gateway_resume(worker->forwarder); /* all goes to the first one that is started */
        int r = pthread_create(&worker->thread, NULL, worker_run, worker);
        worker->started = r == 0;
        if (worker->started)
                loop_post(worker->loop, &worker->begin.mail);
        else
                gateway_abort(worker->forwarder);
        return -r;
}

void worker_reload(struct worker *worker, const struct worker_news *news)
{
        worker->news = news; /* the mailbox's mutex makes it seen */
        loop_post(worker->loop, &worker->reload.mail);
}

void worker_ask_balances(struct worker *worker)
{
        if (!atomic_exchange(&worker->asking_balances, true))
                loop_post(worker->loop, &worker->ask_balances.mail);
}

void worker_kick(struct worker *worker)
{
        loop_post(worker->loop, &worker->kick.mail);
}

void worker_drain(struct worker *worker)
{
        loop_post(worker->loop, &worker->drain.mail);
}

struct loop *worker_loop(struct worker *worker)
{
        return worker->loop;
}

void worker_abort(struct worker *worker)
{
        loop_post(worker->loop, &worker->abort.mail);
}

void worker_finish(struct worker *worker)
{
        loop_post(worker->loop, &worker->finish.mail);
}

void worker_free(struct worker *worker)
{
        if (!worker)
                return;
        if (worker->started) {
                loop_post(worker->loop, &worker->stop.mail);
                (void)pthread_join(worker->thread, NULL);
        }
        close_loop(worker);
        free(worker);
}
