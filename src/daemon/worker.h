/*
 * worker: a thread with its loop, its forwarder and a server for each listener.
 */
#ifndef SOLVEGATE_DAEMON_WORKER_H
#define SOLVEGATE_DAEMON_WORKER_H

#include "base/loop.h"

#include <stddef.h>

struct gateway;
struct listener;
struct server_shared;
struct worker;

struct worker_setup {
        struct gateway *gateway;
        struct server_shared *shared;
        struct listener *listeners;
        size_t listener_count;
        int index; /* of the listeners' sockets */
        struct loop *main_loop;
        void (*finished)(void *arg); /* called on main_loop after worker_finish() */
        void *finished_arg;
};

/*
 * Makes a worker; its servers accept connections once it is started. What is passed must outlive
 * it. Returns 0 or -errno.
 */
int worker_new(const struct worker_setup *setup, struct worker **ret_worker);

/* Starts its thread. Returns 0 or -errno. */
int worker_start(struct worker *worker);

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
