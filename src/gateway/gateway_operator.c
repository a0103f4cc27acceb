/*
 * gateway_operator: see gateway_operator.h.
 */
#include "gateway/gateway_operator.h"

#include "base/log.h"
#include "gateway/gateway_private.h"

int gateway_each_job(struct gateway *gateway, const struct scheduler_choice *choice,
                     gateway_job_fn *each, void *arg, size_t *ret_total)
{
        struct scheduler_list list;
        int r = scheduler_jobs(gateway->scheduler, choice, &list);

        if (r < 0)
                return r;
        *ret_total = list.total;
        for (size_t i = 0; i < list.count; i++)
                each(arg, &list.jobs[i]);
        scheduler_list_done(&list);
        return 0;
}

void gateway_show_job(struct gateway *gateway, struct job *job, gateway_job_fn *show, void *arg)
{
        struct scheduler_job shown;

        scheduler_describe(gateway->scheduler, job, &shown);
        show(arg, &shown);
        scheduler_job_done(&shown);
}

enum scheduler_mode gateway_mode(struct gateway *gateway)
{
        return scheduler_mode(gateway->scheduler);
}

enum scheduler_mode gateway_set_drained(struct gateway *gateway, bool drained)
{
        enum scheduler_mode before = scheduler_mode(gateway->scheduler);
        enum scheduler_mode mode = scheduler_set_drained(gateway->scheduler, drained);

        if (mode != before)
                log_info(mode == SCHEDULER_DRAINED
                                 ? "by the operator's order no more jobs are taken; those that "
                                   "wait or are under way go on"
                                 : "by the operator's order jobs are taken again");
        return mode;
}
