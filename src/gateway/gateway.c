/*
 * gateway: see gateway.h.
 */
#include "gateway/gateway.h"

#include "access/clients.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "gateway/gateway_private.h"

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
