/*
 * worker: a thread with its loop, its forwarder and a server for each listener.
 */
#ifndef SOLVEGATE_DAEMON_WORKER_H
#define SOLVEGATE_DAEMON_WORKER_H

#include "base/loop.h"

#include <stddef.h>

struct gateway;
struct listener;
struct policy;
struct server_shared;
struct tally;
struct tls_identity;
struct worker;

/* What its servers go by, from when they are told on; they take references of their own. */
struct worker_news {
        struct policy *policy;
        struct tls_identity *const *identities; /* one for each listener; NULL: plain HTTP */
};

struct worker_setup {
        struct gateway *gateway;
        struct server_shared *shared;
        struct tally *tally;
        struct listener *listeners;
        size_t listener_count;
        int index; /* of the listeners' sockets */
        struct loop *main_loop;
        struct worker_news news;     /* at first */
        void (*reloaded)(void *arg); /* called on main_loop after worker_reload() */
        void (*finished)(void *arg); /* likewise after worker_finish() */
        void *arg;
};

/*
 * Makes a worker; its servers accept connections once it is started. What is passed must outlive
 * it. Returns 0 or -errno.
 */
int worker_new(const struct worker_setup *setup, struct worker **ret_worker);

/* Starts its thread. Returns 0 or -errno. */
int worker_start(struct worker *worker);

/*
 * Gives all its servers what they go by from now on, and calls reloaded. news stay valid until
 * then. Thread: main. Not to be called again before that, nor after worker_finish().
 */
void worker_reload(struct worker *worker, const struct worker_news *news);

/* Asks the upstreams whose balance is too old for operators. Thread: main. Not to be called after
 * worker_finish(). */
void worker_ask_balances(struct worker *worker);

/*
 * Sends what may be sent by now, since what a client may have in flight has changed. Thread: main.
 * To be called once after each worker_reload().
 */
void worker_kick(struct worker *worker);

/* A stop has begun: its servers accept nobody any more where the next process will. Thread: main.
 * Call it once. */
void worker_drain(struct worker *worker);

/* Its loop. Thread: any, but mail only: loop_post(). */
struct loop *worker_loop(struct worker *worker);

/* Ends its jobs under way as outcome_unknown. Thread: main. Call it once. */
void worker_abort(struct worker *worker);

/*
 * Lets it answer the requests it still has, for a short while, and calls finished. Requires that
 * every job of the gateway is final. Thread: main. Call it once.
 */
void worker_finish(struct worker *worker);

/*
 * Stops its thread, if it was started, and frees it. Requires that every worker that was started
 * has finished. Thread: main. Takes NULL.
 */
void worker_free(struct worker *worker);

#endif
