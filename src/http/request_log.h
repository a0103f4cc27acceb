/*
 * request_log: the id of each request, and its line in the log when it is over.
 *
 * Everything in the line comes from a fixed table, from the configuration or is made here: no path,
 * no field of the header, no body. What a peer could flood is limited: each client by
 * itself, whoever has no more than the id of a job, and whoever is not known.
 *
 * docs/logs.md says what each field means. Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_REQUEST_LOG_H
#define SOLVEGATE_HTTP_REQUEST_LOG_H

#include <stdint.h>

struct request;

/* In place of a slug: the request is not a well-formed message of HTTP. */
#define REQUEST_LOG_MALFORMED "malformed"

/* How a request ended. */
enum request_end {
        REQUEST_ANSWERED,
        REQUEST_CLIENT_GONE, /* before it had the answer */
        REQUEST_MALFORMED,   /* libmicrohttpd has given it up by itself */
        REQUEST_CLOSED,      /* solvegate closed the connection while it was still coming */
};

/* Gives it an id. */
void request_log_begin(struct request *request, int64_t began_us);

/* The method, as it is told; one that is not known is "other". */
const char *request_log_method(const char *method);

/* An answer with this status is on its way: it is counted in the tally. */
void request_log_answer(struct request *request, unsigned status);

/* The line. */
void request_log_end(const struct request *request, enum request_end end);

/* What a refused request did wrong, for who runs solvegate. */
void request_log_refusal(const struct request *request);

#endif
