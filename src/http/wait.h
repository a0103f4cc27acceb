/*
 * wait: how long an answer about a job is held, as the client and the configuration want it.
 */
#ifndef SOLVEGATE_HTTP_WAIT_H
#define SOLVEGATE_HTTP_WAIT_H

#include "job/waiter.h"

#include <stdbool.h>
#include <stdint.h>

struct request;

/*
 * Holds a request for its job. `?wait=N` or `Prefer: wait=N` holds until the job is final,
 * `Prefer: respond-async` not at all; without either it is held for hold_ms, until the job has
 * come to level. Sets what the Preference-Applied field says. Returns whether it is held.
 */
bool wait_for_job(struct request *request, enum waiter_level level, int64_t hold_ms);

/* Holds a request until its job is final, which it will be as soon as that is stored. */
bool wait_for_end(struct request *request);

#endif
