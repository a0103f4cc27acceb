/*
 * gateway: see gateway.h.
 */
#include "gateway/gateway.h"

#include "access/clients.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "dispatch/entry.h"
#include "dispatch/keep.h"
#include "gateway/gateway_private.h"
#include "job/results.h"

/* ---- a job that was submitted ---- */

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

bool gateway_cancel(struct gateway *gateway, struct loop *loop, struct job *job, enum end_reason by)
{
        return entry_cancel(gateway->scheduler, loop, job, by) == ENTRY_CANCELLED;
}

/* ---- the parts ---- */

void gateway_audit_refusal(struct gateway *gateway, const struct client *client,
                           const char *address, const char *site, const char *code)
{
        const struct audit_event event = {
                .wall_ms = clock_wall_ms(),
                .event = "refused",
                .client = client ? client->name : NULL,
                .address = address,
                .site = site,
                .outcome = code,
                .charge = AUDIT_NOT_CHARGED,
        };

        audit_refused(gateway->audit, &event);
}

struct throttle *gateway_throttle(struct gateway *gateway)
{
        return gateway->throttle;
}

struct parser *gateway_parser(struct gateway *gateway)
{
        return gateway->parser;
}

struct balances *gateway_balances(struct gateway *gateway)
{
        return gateway->balances;
}

const struct config *gateway_config(const struct gateway *gateway)
{
        return config_get(&gateway->config);
}
