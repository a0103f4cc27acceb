/*
 * hold: delays the response to a request. Its connection is suspended; no thread blocks.
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_HOLD_H
#define SOLVEGATE_HTTP_HOLD_H

#include "http/request_private.h"

#define STORE_HOLD_MS 30000 /* a store that takes longer is as good as none */

/*
 * Suspends the connection until the waiter's mail comes, hold_ms have passed, or the client has
 * closed its side (libmicrohttpd does not look at a suspended connection); then the route's handler
 * is called again, with request->waited set. arm() arms request->waiter, or returns false when
 * there is nothing to wait for; disarm() takes it back and returns false when the mail is on the
 * way. Returns whether the request is held.
 */
struct hold {
        enum hold_for what; /* for an answer it is held only as long as the client's side is open */
        enum waiter_level level;
        int64_t hold_ms;
        bool (*arm)(struct request *request);
        bool (*disarm)(struct request *request);
};
bool request_hold(struct request *request, const struct hold *hold);

/* Ends a hold: the handler responds with the current state. */
void hold_end(struct request *request);

/* Ends all holds but those for an admission or the store. */
void hold_end_all(struct server *server);

/* To be called when the response to a request was sent and its connection is kept. */
void hold_answered(const struct request *request);

#endif
