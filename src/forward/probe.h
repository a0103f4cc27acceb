/*
 * probe: free probes of upstreams whose breaker is open: balance requests, each on a connection of
 * its own, so that it finds out about the upstream and not about a connection. Their answers are
 * for the breaker alone.
 *
 * Thread: the forwarder's loop.
 */
#ifndef SOLVEGATE_FORWARD_PROBE_H
#define SOLVEGATE_FORWARD_PROBE_H

#include "upstream/breaker.h"

#include <stdint.h>

struct answer;
struct forwarder;

/* What an answer says of the upstream's health. */
enum breaker_result probe_result_of(const struct answer *answer);

/* Sends the probes that are due. Returns when the next one is (monotonic), or INT64_MAX. */
int64_t probes_send(struct forwarder *forwarder);

/* Breaks off all that are in progress. */
void probes_cancel(struct forwarder *forwarder);

#endif
