/*
 * gateway_worker: what runs on a worker's loop; see gateway_service.h.
 */
#include "gateway/gateway_service.h"

#include "forward/forward.h"
#include "forward/forwarder.h"
#include "gateway/balance.h"
#include "gateway/gateway_private.h"
#include "job/parser.h"

int gateway_new_forwarder(struct gateway *gateway, struct loop *loop,
                          struct forwarder **ret_forwarder)
{
        const struct forwarder_setup setup = {
                .config = &gateway->config,
                .loop = loop,
                .scheduler = gateway->scheduler,
                .store = gateway->store,
                .bodies = &gateway->bodies,
        };

        return forwarder_new(&setup, ret_forwarder);
}

void gateway_free_forwarder(struct forwarder *forwarder)
{
        forwarder_free(forwarder);
}

void gateway_resume(struct forwarder *forwarder)
{
        forwarder_resume(forwarder);
}

void gateway_begin(struct gateway *gateway, struct forwarder *forwarder, bool is_first)
{
        if (is_first) {
                balances_refresh(gateway->balances, forwarder, BALANCE_BY_THE_CLOCK);
                parser_start(gateway->parser, forwarder_loop(forwarder));
        }
        forwarder_kick(forwarder);
}

void gateway_kick(struct forwarder *forwarder)
{
        forwarder_kick(forwarder);
}

void gateway_renew(struct gateway *gateway, struct forwarder *forwarder, bool is_first)
{
        forwarder_renew_connections(forwarder);
        if (is_first)
                balances_ask_forgotten(gateway->balances, forwarder);
}

void gateway_abort(struct forwarder *forwarder)
{
        forwarder_abort(forwarder);
}
