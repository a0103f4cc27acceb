/*
 * guard: what is refused by the header of a request alone, before its body is read. That it is a
 * well-formed message was checked before (framing.h).
 */
#ifndef SOLVEGATE_HTTP_GUARD_H
#define SOLVEGATE_HTTP_GUARD_H

#include <stdbool.h>

struct request;

/*
 * Checks a request's header (target as libmicrohttpd has decoded it), sets its route, host, origin
 * and client, and makes room for its body. What is wrong stands in request->refusal afterwards.
 */
void guard_check(struct request *request, const char *target, const char *method);

/*
 * Whether a refusal is to be sent before the body came: the client waits for a 100, or its body
 * is declared larger than limits.body_bytes.
 */
bool guard_refuses_at_once(const struct request *request);

/*
 * Whether the client waits for a 100 though no body follows (RFC 9110, 10.1.1, does not allow it).
 * libmicrohttpd 0.9.75 would send the 100, and, where more was received, close the connection
 * without a response. So the request is handled before that, and its response is the last one.
 */
bool guard_answers_at_once(const struct request *request);

/* Whether a refused body has become larger than that. */
bool guard_discards_too_much(const struct request *request);

#endif
