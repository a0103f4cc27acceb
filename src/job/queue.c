/*
 * queue: see queue.h.
 */
#include "job/queue.h"

#include "job/purchase.h"

#include <errno.h>
#include <utlist.h>

int queue_push(struct queue *queue, struct purchase *purchase)
{
        if (queue->count >= queue->max)
                return -ENOBUFS;
        DL_APPEND2(queue->ready, purchase, queue_prev, queue_next);
        queue->count++;
        return 0;
}

/* What comes back is among the oldest, so its place is near the head; after a start it is the last.
 */
void queue_return(struct queue *queue, struct purchase *purchase)
{
        struct purchase *later, *last = queue->ready ? queue->ready->queue_prev : NULL;

        queue->count++;
        if (!last || last->number < purchase->number) {
                DL_APPEND2(queue->ready, purchase, queue_prev, queue_next);
                return;
        }
        DL_FOREACH2 (queue->ready, later, queue_next) {
                if (later->number > purchase->number)
                        break;
        }
        DL_PREPEND_ELEM2(queue->ready, later, purchase, queue_prev, queue_next);
}

void queue_delay(struct queue *queue, struct purchase *purchase, int64_t not_before_ms)
{
        struct purchase *later;

        purchase->delayed = true;
        purchase->not_before_ms = not_before_ms;
        DL_FOREACH2 (queue->delayed, later, queue_next) {
                if (later->not_before_ms > not_before_ms)
                        break;
        }
        DL_PREPEND_ELEM2(queue->delayed, later, purchase, queue_prev, queue_next);
        queue->count++;
}

void queue_remove(struct queue *queue, struct purchase *purchase)
{
        if (purchase->delayed)
                DL_DELETE2(queue->delayed, purchase, queue_prev, queue_next);
        else
                DL_DELETE2(queue->ready, purchase, queue_prev, queue_next);
        purchase->delayed = false;
        queue->count--;
}

/* The first of a list that may go; those behind one that is not due yet are not either. */
static struct purchase *first_that_may(struct purchase *list, int64_t now_ms, bool retries)
{
        struct purchase *purchase;

        DL_FOREACH2 (list, purchase, queue_next) {
                if (purchase->delayed && purchase->not_before_ms > now_ms)
                        return NULL;
                if (retries || !purchase->retried)
                        return purchase;
        }
        return NULL;
}

/* Any retry may, due or not. */
static struct purchase *first_retry(struct purchase *list)
{
        struct purchase *purchase;

        DL_FOREACH2 (list, purchase, queue_next) {
                if (purchase->retried)
                        return purchase;
        }
        return NULL;
}

struct purchase *queue_pop(struct queue *queue, int64_t now_ms, bool retries)
{
        struct purchase *purchase = first_that_may(queue->delayed, now_ms, retries);

        if (!purchase)
                purchase = first_that_may(queue->ready, now_ms, retries);
        if (purchase)
                queue_remove(queue, purchase);
        return purchase;
}

struct purchase *queue_pop_probe(struct queue *queue, int64_t now_ms)
{
        struct purchase *purchase = queue->ready;

        if (!purchase)
                purchase = first_that_may(queue->delayed, now_ms, true);
        if (!purchase)
                purchase = first_retry(queue->delayed);
        if (purchase)
                queue_remove(queue, purchase);
        return purchase;
}

int64_t queue_delayed_until(const struct queue *queue)
{
        return queue->delayed ? queue->delayed->not_before_ms : INT64_MAX;
}
