/*
 * reply: what is answered; tools always get JSON with a string status. Each function queues one
 * reply and returns what the access handler of libmicrohttpd returns.
 */
#ifndef SOLVEGATE_HTTP_REPLY_H
#define SOLVEGATE_HTTP_REPLY_H

#include "http/server_private.h"

#include <microhttpd.h>
#include <stdint.h>

struct request;
struct strbuf;

/* The error in request->refusal, with its field. */
enum MHD_Result reply_refusal(struct request *request);

/* Appends the body of an error (contract, section 3). */
void reply_append_error(struct strbuf *json, unsigned status, const char *code,
                        const char *message);

/* Allow for 405 (RFC 9110, 15.5.6), Retry-After for 429 and 503. */
struct reply_field reply_refusal_field(const struct request *request);

/* request->job as it is now: queued, solved, or failed. */
enum MHD_Result reply_job(struct request *request);

/* A body that is JSON, and is taken over; age_s < 0 means no Age field. */
enum MHD_Result reply_json(struct request *request, struct strbuf *json, int64_t age_s);

/* A body of another type, which is taken over. */
enum MHD_Result reply_text(struct request *request, struct strbuf *text, const char *content_type);

#endif
