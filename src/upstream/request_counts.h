/*
 * request_counts: how the requests to one upstream ended, since the start. Counted without a lock.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_UPSTREAM_REQUEST_COUNTS_H
#define SOLVEGATE_UPSTREAM_REQUEST_COUNTS_H

#include "upstream/protocol.h"

#include <stdatomic.h>
#include <stdint.h>

#define REQUEST_ENDPOINTS (UPSTREAM_BALANCE + 1)

/* As its answer was judged (enum answer_kind), or broken off. */
#define REQUEST_BROKEN_OFF (ANSWER_UNCLEAR + 1)
#define REQUEST_RESULTS    (REQUEST_BROKEN_OFF + 1)

/* Zeroed, there were none. */
struct request_counts {
        _Atomic int64_t counts[REQUEST_ENDPOINTS][REQUEST_RESULTS];
};

/* What they came to at one moment. */
struct request_figures {
        int64_t counts[REQUEST_ENDPOINTS][REQUEST_RESULTS];
};

/* What they are called in metrics, in their order. */
const char *request_endpoint_name(int endpoint);
const char *request_result_name(int result);

/* A request has ended. */
void request_counts_add(struct request_counts *counts, enum upstream_endpoint endpoint, int result);

void request_counts_read(const struct request_counts *counts, struct request_figures *ret_figures);

#endif
