/*
 * flight: one purchase on its way, see forward.h; only forward includes it.
 *
 * Thread: the forwarder's loop.
 */
#ifndef SOLVEGATE_FORWARD_FLIGHT_H
#define SOLVEGATE_FORWARD_FLIGHT_H

#include "forward/forward.h"
#include "forward/shortage.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

struct account;
struct flight;
struct loop_timer;
struct probe;
struct scheduler_turn;

struct forwarder {
        struct forwarder_setup setup;
        struct transfers *transfers;
        struct flight *flights;
        size_t in_flight; /* of these, before FLIGHT_ENDING */
        struct shortage shortage;
        struct probe *probes;
        int refused; /* purchases that had too little time, and whose end is not stored */
        struct loop_timer *again; /* looks for what may be sent by then */
        bool aborted;             /* nothing new is begun */
};

/* Begins with what scheduler_take() gave. Returns false if too little time is left for it: then it
 * is refused. */
bool flight_start(struct forwarder *forwarder, const struct scheduler_turn *turn);

/* Goes on with what scheduler_take_accepted() gave. */
void flight_resume(struct forwarder *forwarder, const struct scheduler_turn *turn);

/* So many purchases are refused until the store has written their ends. */
#define FLIGHTS_REFUSED_MAX 64

/* Ends all as forwarder_abort() says, at once or when the store has answered. */
void flight_abort_all(struct forwarder *forwarder);

#endif
