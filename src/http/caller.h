/*
 * caller: who is calling, by the token that a request shows (contract, section 3).
 *
 * Without clients in the policy everyone is the same one, and tokens are not looked at. A wrong
 * token is answered late, by the address from which it came (access/throttle.h).
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_CALLER_H
#define SOLVEGATE_HTTP_CALLER_H

#include <stdbool.h>

struct request;

/*
 * Sets request->client, or refuses the request: with a wrong token, without one where the route
 * needs it, or with two that differ. Requires that the route is known, unless it is refused
 * already.
 */
void caller_check(struct request *request);

/* The same for a request that was checked, where the server's policy was replaced since. */
void caller_check_again(struct request *request);

/*
 * Holds a request that is refused for its wrong token, if it is to be. Returns whether it is held;
 * one that cannot be is turned away.
 */
bool caller_hold(struct request *request);

/* A wrong token's answer cannot be held: it is another one, and the connection ends. */
void caller_turn_away(struct request *request);

/* The answer is not held any more, whatever the reason. */
void caller_end_penalty(struct request *request);

#endif
