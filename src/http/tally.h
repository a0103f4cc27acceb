/*
 * tally: how many requests were answered, by endpoint and by code of HTTP.
 *
 * One for the process. Each server joins it and counts in a part of its own, so that threads do not
 * share a cache line; the parts stay until the tally is freed, so nothing is forgotten.
 */
#ifndef SOLVEGATE_HTTP_TALLY_H
#define SOLVEGATE_HTTP_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;
struct tally;
struct tally_part;

/* What is asked for: by the route, never by the path. */
enum tally_endpoint {
        TALLY_OTHER, /* no route of ours */
        TALLY_SOLVE,
        TALLY_STATUS,
        TALLY_BALANCE,
        TALLY_USAGE,
        TALLY_METRICS,
        TALLY_HEALTHZ,
        TALLY_READYZ,
        TALLY_CONTROL,
        TALLY_ENDPOINTS,
};

/* What it is called in the log and in the metrics. Thread: any. */
const char *tally_endpoint_name(enum tally_endpoint endpoint);

/* Returns 0 or -ENOMEM. */
int tally_new(struct tally **ret_tally);

/* Requires that nobody counts any more. Takes NULL. */
void tally_free(struct tally *tally);

/* A new part, which belongs to the tally; NULL without memory. Thread: any. */
struct tally_part *tally_join(struct tally *tally);

/* Counts an answer; a code that solvegate does not know counts as "other". Thread: any. */
void tally_count(struct tally_part *part, enum tally_endpoint endpoint, unsigned code);

/* Appends the metric solvegate_http_requests_total, the parts summed up. Thread: any. */
void tally_write(struct tally *tally, struct strbuf *text);

#endif
