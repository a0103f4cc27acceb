/*
 * queue_fixture: takes purchases from a queue as the engine and the local arbiter do together.
 */
#ifndef SOLVEGATE_TESTS_QUEUE_FIXTURE_H
#define SOLVEGATE_TESTS_QUEUE_FIXTURE_H

#include "job/job.h"
#include "job/queue.h"
#include "job/turns.h"

/* A queue and whose turn it is in it. */
struct turned_queue {
        struct queue queue;
        struct turns turns;
};

void turned_queue_init(struct turned_queue *both);

/* Takes the purchase whose turn it is, or one that is to probe an upstream; NULL: none. */
struct purchase *queue_pop(struct turned_queue *both, int64_t now_ms,
                           const struct queue_filter *filter, struct queue_flow **ret_flow);
struct purchase *queue_pop_probe(struct turned_queue *both, int64_t now_ms,
                                 const struct queue_filter *filter, struct queue_flow **ret_flow);

#endif
