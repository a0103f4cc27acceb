/*
 * gateway_stats: see gateway_stats.h.
 */
#include "gateway/gateway_stats.h"

#include "audit/audit.h"
#include "gateway/gateway_private.h"
#include "job/parser.h"
#include "store/store.h"

#include <stdatomic.h>

void gateway_usage(struct gateway *gateway, struct client *client,
                   struct scheduler_usage *ret_usage, struct quota_figures *ret_figures)
{
        scheduler_usage(gateway->scheduler, client, ret_usage, ret_figures);
}

void gateway_each_charge(struct gateway *gateway,
                         void (*row)(void *arg, const struct charges_row *row), void *arg)
{
        charges_each(gateway->charges, row, arg);
}

void gateway_stats(struct gateway *gateway, struct gateway_stats *ret_stats)
{
        struct scheduler_account account;

        *ret_stats = (struct gateway_stats){
                .solve_buckets = &scheduler_solve_buckets,
                .body_bytes = atomic_load(&gateway->bodies.bytes),
                .bodies_parsed = parser_count(gateway->parser),
        };
        scheduler_figures(gateway->scheduler, &ret_stats->jobs);
        for (size_t i = 0; gateway_upstream(gateway, i, &account); i++)
                ret_stats->in_flight += account.in_flight;
}

bool gateway_upstream(struct gateway *gateway, size_t index, struct scheduler_account *ret_account)
{
        return scheduler_account(gateway->scheduler, index, ret_account);
}

bool gateway_store_healthy(const struct gateway *gateway)
{
        return !gateway->store || store_healthy(gateway->store);
}

bool gateway_audit_healthy(const struct gateway *gateway)
{
        return audit_healthy(gateway->audit);
}

void gateway_store_problem(const struct gateway *gateway,
                           char ret_problem[static GATEWAY_STORE_PROBLEM_BYTES_MAX])
{
        ret_problem[0] = '\0';
        if (gateway->store)
                store_problem(gateway->store, ret_problem, GATEWAY_STORE_PROBLEM_BYTES_MAX);
}
