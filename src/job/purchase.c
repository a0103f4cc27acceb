/*
 * purchase: see purchase.h.
 */
#include "job/purchase.h"

#include "base/clock.h"
#include "job/body.h"
#include "job/job.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

int purchase_new(int64_t number, const struct task_identity *identity, char *host,
                 struct body *body, struct purchase **ret_purchase)
{
        struct purchase *purchase = calloc(1, sizeof *purchase);

        if (!purchase)
                return -ENOMEM;
        atomic_init(&purchase->references, 1);
        purchase->number = number;
        purchase->identity = *identity;
        purchase->host = host;
        purchase->body = body;
        purchase->created_wall_ms = clock_wall_ms();
        purchase->place = PURCHASE_WAITS;
        purchase->state = JOB_QUEUED;
        *ret_purchase = purchase;
        return 0;
}

const char *purchase_charge_note(const struct purchase *purchase)
{
        return purchase->doubtful ? "an earlier try may have been charged" : "it was not charged";
}

struct purchase *purchase_ref(struct purchase *purchase)
{
        (void)atomic_fetch_add_explicit(&purchase->references, 1, memory_order_relaxed);
        return purchase;
}

void purchase_unref(struct purchase *purchase)
{
        if (!purchase ||
            atomic_fetch_sub_explicit(&purchase->references, 1, memory_order_acq_rel) != 1)
                return;
        assert(!purchase->jobs && !purchase->listed && !purchase->queued && !purchase->payer &&
               !purchase->reserved_by && !purchase->id_in_use);
        body_unref(purchase->body);
        free(purchase->host);
        free(purchase->trouble);
        free(purchase->upstream);
        free(purchase->upstream_id);
        free(purchase->asked_at);
        free(purchase);
}

void purchase_drop(struct purchase *purchase)
{
        struct job *job, *next;

        DL_FOREACH_SAFE2 (purchase->jobs, job, next, sibling_next) {
                DL_DELETE2(purchase->jobs, job, sibling_prev, sibling_next);
                job->attached = false;
                job_unref(job);
        }
        job_unref(purchase->payer);
        purchase->payer = NULL;
        purchase_unref(purchase);
}
