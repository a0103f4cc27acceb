/*
 * queue_fixture: see queue_fixture.h.
 */
#include "queue_fixture.h"

#include <stddef.h>

static void on_wants(void *arg, struct queue_flow *flow, bool wants)
{
        if (wants)
                turns_want(arg, &flow->turns);
        else
                turns_want_nothing(arg, &flow->turns);
}

void turned_queue_init(struct turned_queue *both)
{
        *both = (struct turned_queue){.queue.wants = on_wants};
        both->queue.arg = &both->turns;
}

struct search {
        const struct queue_filter *filter;
        struct job *found;
};

static struct queue_flow *flow_of(struct turns_share *share)
{
        return (struct queue_flow *)((char *)share - offsetof(struct queue_flow, turns));
}

static bool may(void *arg, struct turns_share *share)
{
        struct search *search = arg;

        search->found = queue_first(flow_of(share), search->filter);
        return search->found;
}

static struct purchase *take(struct turned_queue *both, struct job *job,
                             struct queue_flow **ret_flow)
{
        struct purchase *purchase = job->purchase;

        *ret_flow = job->flow;
        queue_remove(&both->queue, purchase);
        return purchase;
}

static struct purchase *pop_ready(struct turned_queue *both, const struct queue_filter *filter,
                                  struct queue_flow **ret_flow)
{
        struct search search = {.filter = filter};

        return turns_take(&both->turns, may, &search) ? take(both, search.found, ret_flow) : NULL;
}

struct purchase *queue_pop(struct turned_queue *both, int64_t now_ms,
                           const struct queue_filter *filter, struct queue_flow **ret_flow)
{
        queue_end_delays(&both->queue, now_ms);
        return pop_ready(both, filter, ret_flow);
}

struct purchase *queue_pop_probe(struct turned_queue *both, int64_t now_ms,
                                 const struct queue_filter *filter, struct queue_flow **ret_flow)
{
        struct purchase *purchase = pop_ready(both, filter, ret_flow);

        if (purchase)
                return purchase;
        struct job *job = queue_first_delayed(&both->queue, now_ms, filter, NULL);
        return job && turns_take_for(&both->turns, &job->flow->turns) ? take(both, job, ret_flow)
                                                                      : NULL;
}
