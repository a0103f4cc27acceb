/*
 * gateway_job: a job after it was submitted: its state, its end, and whether its ID may be
 * returned; see gateway.h.
 */
#include "gateway/gateway.h"

#include "dispatch/entry.h"
#include "dispatch/keep.h"
#include "gateway/gateway_private.h"
#include "job/results.h"

struct job *gateway_find(struct gateway *gateway, const char *id)
{
        return results_find(gateway->results, id);
}

enum job_state gateway_state(struct gateway *gateway, struct job *job)
{
        return results_state(gateway->results, job);
}

bool gateway_wait(struct gateway *gateway, struct job *job, struct waiter *waiter)
{
        return results_wait(gateway->results, job, waiter);
}

bool gateway_unwait(struct gateway *gateway, struct job *job, struct waiter *waiter)
{
        return results_unwait(gateway->results, job, waiter);
}

bool gateway_is_durable(struct gateway *gateway, const struct job *job)
{
        return keep_done(gateway->scheduler, job);
}

bool gateway_wait_durable(struct gateway *gateway, struct loop *loop, struct job *job,
                          struct waiter *waiter)
{
        return keep_wait(gateway->scheduler, loop, job, waiter);
}

bool gateway_unwait_durable(struct gateway *gateway, struct job *job, struct waiter *waiter)
{
        return keep_unwait(gateway->scheduler, job, waiter);
}

bool gateway_cancel(struct gateway *gateway, struct loop *loop, struct job *job, const char *by)
{
        return entry_cancel(gateway->scheduler, loop, job, by) == ENTRY_CANCELLED;
}
