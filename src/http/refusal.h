/*
 * refusal: the error response of a request, and its header field. Any check may refuse a request;
 * the response is sent when the request is complete (reply.h).
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_REFUSAL_H
#define SOLVEGATE_HTTP_REFUSAL_H

#include "gateway/gateway.h"

#define REFUSAL_RETRY_AFTER_S 1  /* where nothing better is known */
#define REFUSAL_NUMBER_CHARS  24 /* of a number in a field */

struct request;
struct strbuf;

/* Marks the request as refused, and drops its body. The first refusal stands. */
void request_refuse(struct request *request, unsigned status, const char *code, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* Refuses the request unless the verdict is GATEWAY_OK or GATEWAY_PENDING. */
void refusal_from_verdict(struct request *request, enum gateway_verdict verdict,
                          const char *message);

/* The header field that an error needs; the name is NULL if it needs none. */
struct reply_field {
        const char *name;
        const char *value;
};

/*
 * Returns the field of the request's refusal: Allow (RFC 9110, 15.5.6), WWW-Authenticate (15.5.2),
 * or Retry-After (10.2.3), whose value is written to text.
 */
struct reply_field refusal_field(const struct request *request,
                                 char text[static REFUSAL_NUMBER_CHARS]);

/* Appends the body of an error. */
void refusal_append(struct strbuf *json, unsigned status, const char *code, const char *message);

#endif
