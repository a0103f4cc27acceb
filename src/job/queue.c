/*
 * queue: see queue.h.
 */
#include "job/queue.h"

#include "base/small_set.h"
#include "job/job.h"
#include "job/purchase.h"

#include <assert.h>
#include <stddef.h>
#include <utlist.h>

/* The first and the last line of a flow. */
#define NEW_LINE   0
#define MIXED_LINE (QUEUE_LINES - 1)

/* ---- jobs in flows ---- */

static struct job *job_of(const struct heap_node *node)
{
        return (struct job *)((char *)(uintptr_t)node - offsetof(struct job, by_arrival));
}

/* Jobs of one purchase may have come at the same time. */
static bool job_before(const struct heap_node *a, const struct heap_node *b)
{
        return job_of(a)->arrival < job_of(b)->arrival;
}

/* Whether what has happened to two purchases is the same. */
static bool is_alike(const struct purchase *a, const struct purchase *b)
{
        return a->retried == b->retried && a->doubtful == b->doubtful &&
               small_set_equal(&a->turned_away_by, &b->turned_away_by);
}

static bool is_new(const struct purchase *purchase)
{
        static const struct small_set nobody;

        return !purchase->retried && small_set_equal(&purchase->turned_away_by, &nobody);
}

/* Finds the line for a job of a purchase. */
static unsigned char find_line(const struct queue_flow *flow, const struct purchase *purchase)
{
        unsigned char line = NEW_LINE + 1;

        if (is_new(purchase))
                return NEW_LINE;
        while (line < MIXED_LINE && flow->lines[line].first &&
               !is_alike(job_of(flow->lines[line].first)->purchase, purchase))
                line++;
        return line;
}

static void enter_flow(struct queue *queue, struct job *job)
{
        struct queue_flow *flow = job->flow;

        if (flow->count++ == 0)
                queue->wants(queue->arg, flow, true);
        job->line = find_line(flow, job->purchase);
        heap_insert(&flow->lines[job->line], &job->by_arrival, job_before);
}

static void leave_flow(struct queue *queue, struct job *job)
{
        struct queue_flow *flow = job->flow;

        if (!job->by_arrival.in_heap)
                return;
        heap_remove(&flow->lines[job->line], &job->by_arrival, job_before);
        if (--flow->count == 0)
                queue->wants(queue->arg, flow, false);
}

static void enter_flows(struct queue *queue, struct purchase *purchase)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                enter_flow(queue, job);
}

/* ---- purchases ---- */

void queue_add(struct queue *queue, struct purchase *purchase)
{
        assert(!purchase->queued);
        purchase->queued = true;
        queue->count++;
        enter_flows(queue, purchase);
}

static struct purchase *purchase_of(const struct heap_node *node)
{
        return (struct purchase *)((char *)(uintptr_t)node - offsetof(struct purchase, by_moment));
}

/* Of equals the one that came first is first. */
static bool purchase_before(const struct heap_node *a, const struct heap_node *b)
{
        const struct purchase *one = purchase_of(a), *other = purchase_of(b);

        if (one->not_before_ms != other->not_before_ms)
                return one->not_before_ms < other->not_before_ms;
        return one->number < other->number;
}

void queue_delay(struct queue *queue, struct purchase *purchase, int64_t not_before_ms)
{
        assert(!purchase->queued);
        purchase->queued = true;
        purchase->delayed = true;
        purchase->not_before_ms = not_before_ms;
        heap_insert(&queue->delayed, &purchase->by_moment, purchase_before);
        queue->count++;
}

void queue_put_off(struct queue *queue, struct purchase *purchase, int64_t not_before_ms)
{
        queue_delay(queue, purchase, not_before_ms);
        purchase->put_off = true;
}

void queue_set_aside(struct queue *queue, struct purchase *purchase)
{
        assert(!purchase->queued);
        purchase->queued = true;
        purchase->aside = true;
        DL_APPEND2(queue->aside, purchase, queue_prev, queue_next);
        queue->count++;
}

static void end_delay(struct queue *queue, struct purchase *purchase)
{
        heap_remove(&queue->delayed, &purchase->by_moment, purchase_before);
        purchase->delayed = purchase->put_off = false;
}

void queue_join(struct queue *queue, struct job *job)
{
        assert(!job->purchase->aside);
        if (!job->purchase->delayed)
                enter_flow(queue, job);
}

void queue_leave(struct queue *queue, struct job *job)
{
        leave_flow(queue, job);
}

void queue_remove(struct queue *queue, struct purchase *purchase)
{
        struct job *job;

        assert(purchase->queued);
        if (purchase->delayed)
                end_delay(queue, purchase);
        if (purchase->aside)
                DL_DELETE2(queue->aside, purchase, queue_prev, queue_next);
        purchase->aside = false;
        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                leave_flow(queue, job);
        purchase->queued = false;
        queue->count--;
}

/* ---- turns ---- */

static bool may_go(const struct heap_node *node, void *arg)
{
        const struct queue_filter *filter = arg;

        return filter->may(filter->arg, job_of(node)->purchase);
}

/* The first node of a line that may go, if it comes before the best one of other lines. */
static const struct heap_node *first_of_line(const struct queue_flow *flow, unsigned char line,
                                             const struct heap_node *best,
                                             const struct queue_filter *filter)
{
        const struct heap *jobs = &flow->lines[line];
        struct queue_filter search = *filter;

        if (!jobs->first || (best && !job_before(jobs->first, best)))
                return NULL;
        if (line != MIXED_LINE && !filter->may_any_like(filter->arg, job_of(jobs->first)->purchase))
                return NULL;
        return heap_find(jobs, job_before, may_go, &search);
}

struct job *queue_first(const struct queue_flow *flow, const struct queue_filter *filter)
{
        const struct heap_node *best = NULL, *node;

        for (unsigned char line = 0; line < QUEUE_LINES; line++) {
                node = first_of_line(flow, line, best, filter);
                if (node && (!best || job_before(node, best)))
                        best = node;
        }
        return best ? job_of(best) : NULL;
}

void queue_end_delays(struct queue *queue, int64_t now_ms)
{
        while (queue_delayed_until(queue) <= now_ms) {
                struct purchase *purchase = purchase_of(queue->delayed.first);
                end_delay(queue, purchase);
                enter_flows(queue, purchase);
        }
}

/* What is asked of delayed purchases for a probe. */
struct probe_search {
        int64_t now_ms;
        const struct queue_filter *filter;
        const struct queue_flow *flow; /* NULL: any */
};

static struct job *job_with_a_turn(const struct probe_search *search,
                                   const struct purchase *purchase)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (search->flow ? job->flow == search->flow : turns_has_room(&job->flow->turns))
                        return job;
        }
        return NULL;
}

static bool may_probe(const struct heap_node *node, void *arg)
{
        const struct probe_search *search = arg;
        const struct purchase *purchase = purchase_of(node);

        if (purchase->not_before_ms > search->now_ms && (!purchase->retried || purchase->put_off))
                return false;
        return search->filter->may(search->filter->arg, purchase) &&
               job_with_a_turn(search, purchase);
}

struct job *queue_first_delayed(struct queue *queue, int64_t now_ms,
                                const struct queue_filter *filter, const struct queue_flow *flow)
{
        struct probe_search search = {now_ms, filter, flow};
        const struct heap_node *node =
                heap_find(&queue->delayed, purchase_before, may_probe, &search);

        return node ? job_with_a_turn(&search, purchase_of(node)) : NULL;
}

int64_t queue_delayed_until(const struct queue *queue)
{
        return queue->delayed.first ? purchase_of(queue->delayed.first)->not_before_ms : INT64_MAX;
}
