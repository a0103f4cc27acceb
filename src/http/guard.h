/*
 * guard: what is refused by the header of a request alone, before its body is read.
 */
#ifndef SOLVEGATE_HTTP_GUARD_H
#define SOLVEGATE_HTTP_GUARD_H

#include <stdbool.h>

struct request;

/*
 * Checks a request's header, sets its route, host, origin and client, and makes room for its body.
 * What is wrong stands in request->refusal afterwards.
 */
void guard_check(struct request *request, const char *path, const char *method,
                 const char *version);

/*
 * Whether a refusal is to be sent before the body came: the client waits for a 100, or its body
 * is so long that reading it to the end, for the sake of the connection, is not worth it.
 */
bool guard_refuses_at_once(const struct request *request);

/* Whether a refused body has become that long. */
bool guard_discards_too_much(const struct request *request);

#endif
