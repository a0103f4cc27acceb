/*
 * notify_status: see notify_status.h.
 */
#include "daemon/notify_status.h"

#include "base/strbuf.h"
#include "dispatch/scheduler.h"
#include "gateway/gateway.h"

#include <errno.h>
#include <stdio.h>

/* Whether jobs are taken. The log says more where they are not. */
static const char *activity(struct scheduler *scheduler, enum notify_state state)
{
        if (state == NOTIFY_ENDING && scheduler_writes(scheduler))
                return "stopping, waiting for the disk";
        if (state == NOTIFY_STOPPING || state == NOTIFY_ENDING)
                return "draining";
        switch (scheduler_check(scheduler, NULL)) {
        case 0:
                return "taking jobs";
        case -ENOBUFS:
                return "taking no jobs, the queue is full";
        case -ESHUTDOWN:
                return "taking no jobs, drained";
        case -EIO:
                return "taking no jobs, they cannot be stored";
        case -EROFS:
                return "taking no jobs, the audit cannot be written";
        case -EHOSTUNREACH:
                return "taking no jobs, every upstream refuses its account";
        default:
                return "taking no jobs";
        }
}

void notify_status_write(struct gateway *gateway, enum notify_state state,
                         char ret_status[static NOTIFY_STATUS_BYTES_MAX])
{
        struct scheduler *scheduler = gateway_scheduler(gateway);
        struct scheduler_figures figures;
        struct scheduler_account account;
        struct strbuf troubles;
        long in_flight = 0;

        /* What does not fit is left out. */
        strbuf_init(&troubles, NOTIFY_STATUS_BYTES_MAX / 2);
        for (size_t i = 0; scheduler_account(scheduler, i, &account); i++) {
                in_flight += account.in_flight;
                if (account.open)
                        (void)strbuf_printf(&troubles, "; %s %s", account.name,
                                            account.out ? "refuses the account" : "fails");
        }
        scheduler_figures(scheduler, &figures);
        (void)snprintf(ret_status, NOTIFY_STATUS_BYTES_MAX, "%s: %zu waiting, %ld in flight%s",
                       activity(scheduler, state), figures.queued_jobs, in_flight,
                       troubles.data ? troubles.data : "");
        strbuf_done(&troubles);
}
