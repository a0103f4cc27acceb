/*
 * payment: see payment.h.
 */
#include "dispatch/payment.h"

#include "access/clients.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "dispatch/arbiter.h"
#include "job/job.h"
#include "job/purchase.h"

#include <assert.h>
#include <stddef.h>
#include <utlist.h>

void payment_reserved_locked(struct purchase *purchase, struct client *client, int64_t day)
{
        purchase->reserved_by = client;
        purchase->reserved_day = day;
        purchase->reservations = 1;
}

void payment_restore_locked(struct purchase *purchase)
{
        struct client *client = client_of(purchase->jobs->flow);
        int64_t day = clock_day_of(purchase->jobs->created_wall_ms);

        if (purchase->reserved_by)
                return;
        quota_reserve_always(&client->quota, day);
        payment_reserved_locked(purchase, client, day);
}

bool payment_reserve_again_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        if (!purchase->reserved_by ||
            arbiter_reserve_locked(arbiter, purchase->reserved_by, &purchase->reserved_day) < 0)
                return false;
        purchase->reservations++;
        return true;
}

static void drop_reservation(struct purchase *purchase)
{
        if (--purchase->reservations == 0)
                purchase->reserved_by = NULL;
}

void payment_mark_paid_locked(struct purchase *purchase)
{
        struct job *payer = purchase->payer ? purchase->payer : purchase->jobs;

        if (payer)
                payer->paid = true;
}

void payment_settle_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        payment_mark_paid_locked(purchase);
        if (!purchase->reserved_by)
                return; /* it was counted before the start */
        arbiter_settle_locked(arbiter, purchase->reserved_by, purchase->charge_day);
        drop_reservation(purchase);
}

void payment_release_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        while (purchase->reserved_by) {
                arbiter_release_locked(arbiter, purchase->reserved_by,
                                       purchase->reservations > 1 ? purchase->charge_day
                                                                  : purchase->reserved_day);
                drop_reservation(purchase);
        }
}

static void put_in_front(struct purchase *purchase, struct job *job)
{
        DL_DELETE2(purchase->jobs, job, sibling_prev, sibling_next);
        DL_PREPEND2(purchase->jobs, job, sibling_prev, sibling_next);
}

/* Finds the first job of a client, or NULL. If the next payer is of the client that holds the
 * reservation, that one is used, and nothing more is reserved. */
static struct job *job_of(const struct purchase *purchase, const struct client *client)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (client_of(job->flow) == client)
                        return job;
        }
        return NULL;
}

bool payment_find_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        const struct client *refused = NULL; /* one may have joined thousands of times */
        struct job *job;
        int64_t day;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                struct client *client = client_of(job->flow);
                if (client == refused || arbiter_reserve_locked(arbiter, client, &day) < 0) {
                        refused = client;
                        continue;
                }
                put_in_front(purchase, job);
                payment_release_locked(arbiter, purchase);
                payment_reserved_locked(purchase, client, day);
                return true;
        }
        return false;
}

bool payment_pass_on_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        assert(purchase->reservations == 1);
        struct job *job = job_of(purchase, purchase->reserved_by);

        if (!job)
                return payment_find_locked(arbiter, purchase);
        put_in_front(purchase, job);
        return true;
}

void payment_fix_locked(struct purchase *purchase, struct job *payer)
{
        struct job *before = purchase->payer;

        purchase->payer = payer ? job_ref(payer) : NULL;
        job_unref(before);
}

const struct job *payment_payer_locked(const struct purchase *purchase)
{
        return purchase->payer ? purchase->payer : purchase->jobs;
}

struct store_line *payment_line_locked(const struct purchase *purchase)
{
        const struct job *payer = payment_payer_locked(purchase);

        return payer && payer->flow ? &client_of(payer->flow)->records : NULL;
}

char *payment_describe_locked(const struct purchase *purchase, const char *upstream, bool charged,
                              const char *outcome)
{
        const struct job *payer = payment_payer_locked(purchase);
        const struct audit_event event = {
                .wall_ms = clock_wall_ms(),
                .event = "charged",
                .client = payer ? payer->client : NULL,
                .address = payer ? payer->address : NULL,
                .site = purchase->host,
                .job = payer ? payer->id : NULL,
                .upstream = upstream,
                .outcome = outcome,
                .charge = charged ? AUDIT_CHARGED : AUDIT_UNKNOWN,
                .day = purchase->charge_day,
        };

        return audit_describe(&event);
}
