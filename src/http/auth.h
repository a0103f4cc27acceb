/*
 * auth: which client a request is from, by its token.
 *
 * Without clients in the policy all requests are from one client, and tokens are not looked at. The
 * answer to a wrong token is delayed, by address (access/throttle.h).
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_AUTH_H
#define SOLVEGATE_HTTP_AUTH_H

#include <stdbool.h>

struct request;

/*
 * Sets request->client, or refuses the request: with a wrong token, without one where the route
 * needs it, or with two that differ. Requires that the route is known, unless it is refused
 * already.
 */
void auth_check(struct request *request);

/* The same for a request that was checked, where the server's policy was replaced since. */
void auth_check_again(struct request *request);

/* Holds a request that is refused for its wrong token, if it is to be delayed. Returns whether it
 * is held; one that cannot be is turned away. */
bool auth_hold(struct request *request);

/* Answers a wrong token with 429 in place of a delay, and ends the connection. */
void auth_turn_away(struct request *request);

/* Ends the delay, whatever the reason. */
void auth_end_penalty(struct request *request);

#endif
