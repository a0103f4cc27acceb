/*
 * prefer: how long a client wants its answer held (RFC 7240).
 */
#ifndef SOLVEGATE_HTTP_PREFER_H
#define SOLVEGATE_HTTP_PREFER_H

#include <stdbool.h>
#include <stdint.h>

#define PREFER_WAIT_MAX_S 86400 /* a job is final long before, by its deadline */

struct prefer {
        bool respond_async;
        int64_t wait_s; /* -1: not said */
};

/* Nothing preferred. */
struct prefer prefer_none(void);

/*
 * Adds the preferences of one Prefer field value. The first of its kind stands (RFC 7240, section
 * 2); what is unknown or malformed is ignored, as section 2 asks.
 */
void prefer_add(struct prefer *prefer, const char *value);

/* Reads a number of seconds, cut to PREFER_WAIT_MAX_S. Returns -1 when it is none. */
int64_t prefer_seconds(const char *text);

#endif
