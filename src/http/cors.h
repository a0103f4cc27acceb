/*
 * cors: which web pages may send requests, and what their browsers are told (the Fetch standard,
 * "CORS protocol"; RFC 6454).
 *
 * A browser sends the origin of the page along with whatever could change something, so a page that
 * nobody listed can neither submit a job nor read an answer.
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_CORS_H
#define SOLVEGATE_HTTP_CORS_H

#include <microhttpd.h>

struct request;

/*
 * Refuses what a page sends that may not call; sets request->origin, and request->preflight where
 * the browser asks what the page may send. Requires that the host was looked at.
 */
void cors_check(struct request *request, const char *method);

/* The same after a reload: what was allowed may be so no more. */
void cors_check_again(struct request *request);

/* Adds what a browser needs to show the page an answer. */
void cors_add_fields(const struct request *request, struct MHD_Response *response);

/* Makes the response to a preflight request, which has no content. Requires a route. Returns NULL
 * without memory. The caller destroys it. */
struct MHD_Response *cors_preflight_response(const struct request *request);

#endif
