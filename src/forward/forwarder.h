/*
 * forwarder: what the flights and the probes of one loop share. Only gateway/ includes this header
 * besides the folder itself, and there only for the setup.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_FORWARD_FORWARDER_H
#define SOLVEGATE_FORWARD_FORWARDER_H

#include "dispatch/scheduler.h"
#include "forward/shortage.h"

#include <stdbool.h>
#include <stddef.h>

struct body_pool;
struct config_in_force;
struct flight;
struct loop;
struct loop_timer;
struct probe;
struct scheduler;
struct store;
struct transfers;

/* All of it outlives the forwarder. */
struct forwarder_setup {
        const struct config_in_force *config;
        struct loop *loop;
        struct scheduler *scheduler;
        struct store *store; /* NULL: nothing is kept */
        struct body_pool *bodies;
};

struct forwarder {
        struct forwarder_setup setup;
        struct transfers *transfers;
        struct flight *flights;
        size_t in_flight; /* of these, before FLIGHT_ENDING */
        struct shortage shortage;
        struct probe *probes;
        int refused; /* purchases that were refused unsent, and whose end is not stored */
        struct scheduler_taker taker;
        struct loop_timer *again;                  /* looks for what may be sent by then */
        bool aborted;                              /* nothing new is begun */
        void (*kick)(struct forwarder *forwarder); /* forwarder_kick() */
};

#endif
