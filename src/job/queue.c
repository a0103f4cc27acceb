/*
 * queue: see queue.h.
 */
#include "job/queue.h"

#include "job/job.h"
#include "job/purchase.h"

#include <assert.h>
#include <utlist.h>

/* A turn of a flow of weight 1, in virtual time: enough turns for centuries, fine enough for every
 * weight. */
#define TURN (UINT64_C(1) << 20)

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

/* ---- jobs in flows ---- */

/* What comes is the latest, what comes back among the earliest. */
static void insert(struct queue_flow *flow, struct job *job)
{
        struct job *later, *last = flow->jobs ? flow->jobs->flow_prev : NULL;

        if (!last || last->arrival < job->arrival) {
                DL_APPEND2(flow->jobs, job, flow_prev, flow_next);
                return;
        }
        DL_FOREACH2 (flow->jobs, later, flow_next) {
                if (later->arrival > job->arrival)
                        break;
        }
        DL_PREPEND_ELEM2(flow->jobs, later, job, flow_prev, flow_next);
}

static void enter_flow(struct queue *queue, struct job *job)
{
        struct queue_flow *flow = job->flow;

        assert(!job->in_flow);
        if (!flow->jobs) {
                catch_up(queue, flow);
                DL_APPEND(queue->flows, flow);
        }
        insert(flow, job);
        flow->count++;
        job->in_flow = true;
}

static void leave_flow(struct queue *queue, struct job *job)
{
        struct queue_flow *flow = job->flow;

        if (!job->in_flow)
                return;
        DL_DELETE2(flow->jobs, job, flow_prev, flow_next);
        flow->count--;
        job->in_flow = false;
        if (!flow->jobs)
                DL_DELETE(queue->flows, flow);
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

void queue_delay(struct queue *queue, struct purchase *purchase, int64_t not_before_ms)
{
        struct purchase *later;

        assert(!purchase->queued);
        purchase->queued = true;
        purchase->delayed = true;
        purchase->not_before_ms = not_before_ms;
        DL_FOREACH2 (queue->delayed, later, queue_next) {
                if (later->not_before_ms > not_before_ms)
                        break;
        }
        DL_PREPEND_ELEM2(queue->delayed, later, purchase, queue_prev, queue_next);
        queue->count++;
}

static void end_delay(struct queue *queue, struct purchase *purchase)
{
        DL_DELETE2(queue->delayed, purchase, queue_prev, queue_next);
        purchase->delayed = false;
}

void queue_join(struct queue *queue, struct job *job)
{
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
        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                leave_flow(queue, job);
        purchase->queued = false;
        queue->count--;
}

/* ---- turns ---- */

/* The first job of a flow that may go. */
static struct job *first_that_may(struct queue_flow *flow, const struct queue_filter *filter)
{
        struct job *job;

        DL_FOREACH2 (flow->jobs, job, flow_next) {
                if (filter->may(filter->arg, job->purchase))
                        return job;
        }
        return NULL;
}

/*
 * Whose turn it is; of equals the one that was served longest ago. A flow that has nothing that may
 * go, or as many in flight as it may, lends its turns, as an empty one does.
 */
static struct job *next_job(struct queue *queue, const struct queue_filter *filter)
{
        struct queue_flow *flow;
        struct job *next = NULL;

        DL_FOREACH (queue->flows, flow) {
                if (next && flow->tag >= next->flow->tag)
                        continue;
                struct job *job = may_take_turns(flow) ? first_that_may(flow, filter) : NULL;
                if (job)
                        next = job;
                else
                        catch_up(queue, flow);
        }
        return next;
}

/* Takes a purchase out for the turn of one of its jobs. */
static struct purchase *take_turn(struct queue *queue, struct job *job,
                                  struct queue_flow **ret_flow)
{
        struct purchase *purchase = job->purchase;
        struct queue_flow *flow = job->flow;

        if (queue->tag < flow->tag)
                queue->tag = flow->tag;
        flow->tag += cost_of(flow);
        flow->in_flight++;
        queue_remove(queue, purchase);
        if (flow->jobs) {
                DL_DELETE(queue->flows, flow);
                DL_APPEND(queue->flows, flow);
        }
        *ret_flow = flow;
        return purchase;
}

static void end_delays(struct queue *queue, int64_t now_ms)
{
        while (queue->delayed && queue->delayed->not_before_ms <= now_ms) {
                struct purchase *purchase = queue->delayed;
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

/* A job of one that is due, or is a retry, and whose flow may take a turn. */
static struct job *first_delayed(struct queue *queue, int64_t now_ms,
                                 const struct queue_filter *filter)
{
        struct purchase *purchase;
        struct job *job;

        DL_FOREACH2 (queue->delayed, purchase, queue_next) {
                if (purchase->not_before_ms > now_ms && !purchase->retried)
                        continue;
                if (!filter->may(filter->arg, purchase))
                        continue;
                DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                        if (may_take_turns(job->flow))
                                return job;
                }
        }
        return NULL;
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
        catch_up(queue, job->flow);
        return take_turn(queue, job, ret_flow);
}

void queue_turn_over(struct queue_flow *flow)
{
        assert(flow->in_flight > 0);
        flow->in_flight--;
}

void queue_give_back(struct queue_flow *flow)
{
        if (flow->tag >= cost_of(flow))
                flow->tag -= cost_of(flow);
}

int64_t queue_delayed_until(const struct queue *queue)
{
        return queue->delayed ? queue->delayed->not_before_ms : INT64_MAX;
}
