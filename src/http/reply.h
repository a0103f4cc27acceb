/*
 * reply: what is answered; tools always get JSON with a string status. Each function queues one
 * reply and returns what the access handler of libmicrohttpd returns.
 */
#ifndef SOLVEGATE_HTTP_REPLY_H
#define SOLVEGATE_HTTP_REPLY_H

#include "http/connection.h"

#include <microhttpd.h>
#include <stdint.h>

#define REPLY_JSON_BYTES_MAX (16 * 1024 * 1024) /* a list of 1,000 jobs is 1 MB */

struct json_object;
struct request;
struct strbuf;

/* The error in request->refusal, with its field. */
enum MHD_Result reply_refusal(struct request *request);

/* The same past libmicrohttpd, while the body is still coming; the connection ends. */
void reply_cut(struct request *request, enum connection_end end);

/* 204 (RFC 9110, 15.3.5) with the fields that the response has, which is taken over. NULL: there is
 * no memory. */
enum MHD_Result reply_no_content(struct request *request, struct MHD_Response *response);

/* request->job as it is now: queued, solved, or failed. */
enum MHD_Result reply_job(struct request *request);

/* A JSON value (base/json_value), which is taken over; age_s < 0 means no Age field. */
enum MHD_Result reply_json(struct request *request, struct json_object *json, int64_t age_s);

/* A body of another type, which is taken over. */
enum MHD_Result reply_text(struct request *request, struct strbuf *text, const char *content_type);

#endif
