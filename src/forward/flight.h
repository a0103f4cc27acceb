/*
 * flight: one purchase on its way, see forward.h; only forward includes it.
 *
 * Thread: the forwarder's loop.
 */
#ifndef SOLVEGATE_FORWARD_FLIGHT_H
#define SOLVEGATE_FORWARD_FLIGHT_H

#include <stdbool.h>

struct forwarder;
struct scheduler_turn;

/* Starts the flight of a turn from scheduler_take(). Returns false if the purchase is not sent: too
 * little time is left, so it is refused; or no attempt is left, so it returns to the queue. */
bool flight_start(struct forwarder *forwarder, struct scheduler_turn *turn);

/* Goes on with what scheduler_take_accepted() gave. */
void flight_resume(struct forwarder *forwarder, const struct scheduler_turn *turn);

/* So many purchases are refused until the store has written their ends. */
#define FLIGHTS_REFUSED_MAX 64

/* Ends all as forwarder_abort() says, at once or when the store has answered. */
void flight_abort_all(struct forwarder *forwarder);

#endif
