/*
 * notify_status: see notify_status.h.
 */
#include "daemon/notify_status.h"

#include "base/strbuf.h"
#include "gateway/gateway.h"
#include "gateway/gateway_service.h"
#include "gateway/gateway_stats.h"

#include <stdio.h>

/* Whether jobs are taken. The log says more where they are not. */
static const char *activity(struct gateway *gateway, enum notify_state state)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX];

        if (state == NOTIFY_ENDING && gateway_writes(gateway))
                return "stopping, waiting for the disk";
        if (state == NOTIFY_STOPPING || state == NOTIFY_ENDING)
                return "draining";
        switch (gateway_check(gateway, NULL, message)) {
        case GATEWAY_OK:
                return "taking jobs";
        case GATEWAY_QUEUE_FULL:
                return "taking no jobs, the queue is full";
        case GATEWAY_DRAINING:
                return "taking no jobs, drained";
        case GATEWAY_STORE:
                return gateway_store_healthy(gateway)
                               ? "taking no jobs, the audit cannot be written"
                               : "taking no jobs, they cannot be stored";
        case GATEWAY_NO_UPSTREAM:
                return "taking no jobs, every upstream refuses its account";
        default:
                return "taking no jobs";
        }
}

void notify_status_write(struct gateway *gateway, enum notify_state state,
                         char ret_status[static NOTIFY_STATUS_BYTES_MAX])
{
        struct gateway_stats figures;
        struct scheduler_account account;
        struct strbuf troubles;

        /* What does not fit is left out. */
        strbuf_init(&troubles, NOTIFY_STATUS_BYTES_MAX / 2);
        for (size_t i = 0; gateway_upstream(gateway, i, &account); i++) {
                if (account.open)
                        (void)strbuf_printf(&troubles, "; %s %s", account.name,
                                            account.out ? "refuses the account" : "fails");
        }
        gateway_stats(gateway, &figures);
        (void)snprintf(ret_status, NOTIFY_STATUS_BYTES_MAX, "%s: %zu waiting, %lld in flight%s",
                       activity(gateway, state), figures.jobs.queued_jobs,
                       (long long)figures.in_flight, troubles.data ? troubles.data : "");
        strbuf_done(&troubles);
}
