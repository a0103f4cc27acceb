/*
 * idempotency: the Idempotency-Key field, as draft-ietf-httpapi-idempotency-key-header has it: a
 * string in quotes. Tools send it without them too, which means the same.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_HTTP_IDEMPOTENCY_H
#define SOLVEGATE_HTTP_IDEMPOTENCY_H

#include "job/job.h"

#include <stdbool.h>

/* Reads a field value. Returns false when it is no key of 1 to JOB_KEY_BYTES_MAX characters. */
bool idempotency_key(const char *value, char ret_key[static JOB_KEY_BYTES_MAX + 1]);

#endif
