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

/* A turn of a flow of weight 1, in virtual time: enough turns for centuries, fine enough for every
 * weight. */
#define TURN (UINT64_C(1) << 20)

/* The first and the last line of a flow. */
#define NEW_LINE   0
#define MIXED_LINE (QUEUE_LINES - 1)

static uint64_t cost_of(const struct queue_flow *flow)
{
        return TURN / (uint64_t)flow->weight;
}

static bool may_take_turns(const struct queue_flow *flow)
{
        return flow->max_in_flight == 0 || flow->in_flight < flow->max_in_flight;
}

/* What a flow did not use is not given back. */
static void catch_up(const struct queue *queue, struct queue_flow *flow)
{
        if (flow->tag < queue->tag)
                flow->tag = queue->tag;
}

/* ---- flows in the heap ---- */

static struct queue_flow *flow_of(const struct heap_node *node)
{
        return (struct queue_flow *)((char *)(uintptr_t)node - offsetof(struct queue_flow, by_tag));
}

/* Of equals the one that was served longest ago is first. */
static bool flow_before(const struct heap_node *a, const struct heap_node *b)
{
        const struct queue_flow *one = flow_of(a), *other = flow_of(b);

        return one->tag != other->tag ? one->tag < other->tag : one->turn < other->turn;
}

static void put_in_heap(struct queue *queue, struct queue_flow *flow)
{
        heap_insert(&queue->flows, &flow->by_tag, flow_before);
}

/* From the heap or from among the parked, if it is there. */
static void take_out(struct queue *queue, struct queue_flow *flow)
{
        if (flow->by_tag.in_heap)
                heap_remove(&queue->flows, &flow->by_tag, flow_before);
        if (flow->parked)
                DL_DELETE(queue->parked, flow);
        flow->parked = false;
}

static void park(struct queue *queue, struct queue_flow *flow)
{
        take_out(queue, flow);
        flow->parked = true;
        DL_APPEND(queue->parked, flow);
}

/* It lent its turns meanwhile, as an empty flow does. */
static void unpark(struct queue *queue, struct queue_flow *flow)
{
        if (!flow->parked || !may_take_turns(flow))
                return;
        take_out(queue, flow);
        catch_up(queue, flow);
        put_in_heap(queue, flow);
}

void queue_unpark(struct queue *queue)
{
        struct queue_flow *flow, *next;

        DL_FOREACH_SAFE (queue->parked, flow, next)
                unpark(queue, flow);
}

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

        if (flow->count++ == 0) {
                catch_up(queue, flow);
                flow->queue = queue;
                flow->turn = ++queue->turns;
                put_in_heap(queue, flow);
        }
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
                take_out(queue, flow);
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

static struct purchase *any_of(const struct queue_flow *flow)
{
        size_t line = 0;

        while (!flow->lines[line].first)
                line++;
        return job_of(flow->lines[line].first)->purchase;
}

struct purchase *queue_any(const struct queue *queue)
{
        if (queue->aside)
                return queue->aside;
        if (queue->delayed.first)
                return purchase_of(queue->delayed.first);
        if (queue->flows.first)
                return any_of(flow_of(queue->flows.first));
        return queue->parked ? any_of(queue->parked) : NULL;
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

/* The first job of a flow that may go. */
static struct job *first_that_may(const struct queue_flow *flow, const struct queue_filter *filter)
{
        const struct heap_node *best = NULL, *node;

        for (unsigned char line = 0; line < QUEUE_LINES; line++) {
                node = first_of_line(flow, line, best, filter);
                if (node && (!best || job_before(node, best)))
                        best = node;
        }
        return best ? job_of(best) : NULL;
}

/*
 * Whose turn it is. A flow before it has nothing that may go, or as many in flight as it may: it
 * lends its turns, as an empty one does.
 */
static struct job *next_job(struct queue *queue, const struct queue_filter *filter)
{
        struct queue_flow *blocked = NULL, *flow, *next;
        struct job *job = NULL;

        while (queue->flows.first) {
                flow = flow_of(queue->flows.first);
                if (!may_take_turns(flow)) {
                        park(queue, flow);
                        continue;
                }
                job = first_that_may(flow, filter);
                if (job)
                        break;
                take_out(queue, flow);
                catch_up(queue, flow);
                LL_PREPEND(blocked, flow);
        }
        LL_FOREACH_SAFE (blocked, flow, next)
                put_in_heap(queue, flow);
        return job;
}

/* Takes a purchase out for the turn of one of its jobs. */
static struct purchase *take_turn(struct queue *queue, struct job *job,
                                  struct queue_flow **ret_flow)
{
        struct purchase *purchase = job->purchase;
        struct queue_flow *flow = job->flow;

        take_out(queue, flow); /* its place changes */
        if (queue->tag < flow->tag)
                queue->tag = flow->tag;
        flow->tag += cost_of(flow);
        flow->in_flight++;
        queue_remove(queue, purchase);
        if (flow->count > 0) {
                flow->turn = ++queue->turns;
                put_in_heap(queue, flow);
        }
        *ret_flow = flow;
        return purchase;
}

static void end_delays(struct queue *queue, int64_t now_ms)
{
        while (queue_delayed_until(queue) <= now_ms) {
                struct purchase *purchase = purchase_of(queue->delayed.first);
                end_delay(queue, purchase);
                enter_flows(queue, purchase);
        }
}

struct purchase *queue_pop(struct queue *queue, int64_t now_ms, const struct queue_filter *filter,
                           struct queue_flow **ret_flow)
{
        end_delays(queue, now_ms);
        struct job *job = next_job(queue, filter);

        return job ? take_turn(queue, job, ret_flow) : NULL;
}

/* What is asked of delayed purchases for a probe. */
struct probe_search {
        int64_t now_ms;
        const struct queue_filter *filter;
};

static struct job *job_with_a_turn(const struct purchase *purchase)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (may_take_turns(job->flow))
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
        return search->filter->may(search->filter->arg, purchase) && job_with_a_turn(purchase);
}

/* A job of one that is due, or is a retry, and whose flow may take a turn. */
static struct job *first_delayed(struct queue *queue, int64_t now_ms,
                                 const struct queue_filter *filter)
{
        struct probe_search search = {now_ms, filter};
        const struct heap_node *node =
                heap_find(&queue->delayed, purchase_before, may_probe, &search);

        return node ? job_with_a_turn(purchase_of(node)) : NULL;
}

/* What has failed as a probe is delayed: it would probe again and again, were it not the last. */
struct purchase *queue_pop_probe(struct queue *queue, int64_t now_ms,
                                 const struct queue_filter *filter, struct queue_flow **ret_flow)
{
        struct job *job = next_job(queue, filter);

        if (job)
                return take_turn(queue, job, ret_flow);
        job = first_delayed(queue, now_ms, filter);
        if (!job)
                return NULL;
        take_out(queue, job->flow);
        catch_up(queue, job->flow);
        return take_turn(queue, job, ret_flow);
}

void queue_turn_over(struct queue_flow *flow)
{
        assert(flow->in_flight > 0);
        flow->in_flight--;
        unpark(flow->queue, flow);
}

void queue_give_back(struct queue_flow *flow)
{
        bool in_heap = flow->by_tag.in_heap;

        if (flow->tag < cost_of(flow))
                return;
        if (in_heap)
                take_out(flow->queue, flow);
        flow->tag -= cost_of(flow);
        if (in_heap)
                put_in_heap(flow->queue, flow);
}

int64_t queue_delayed_until(const struct queue *queue)
{
        return queue->delayed.first ? purchase_of(queue->delayed.first)->not_before_ms : INT64_MAX;
}
