/*
 * queue: the purchases that wait for their turn, and who is next: weighted fair between clients.
 *
 * Each client has a flow: its jobs whose purchases wait, in order of arrival. A purchase goes when
 * the first of its jobs has its turn, so a job that joined a purchase waits in its own client's
 * flow, and not behind the other's jobs. Flows take turns by start-time fair queueing: each has a
 * tag, a turn moves it on by 1/weight, and the lowest tag is next. A flow that was empty starts at
 * the tag that was served last: what it did not use was lent to the others, and is not given back;
 * so does one that could not take its turn.
 *
 * Flows with jobs are in a heap by tag, so a turn takes the logarithm of their number. One that has
 * its maximum in flight is parked beside the heap once it would be next. The jobs of a flow are in
 * lines, each a heap by arrival, so one that comes back takes its place in the logarithm of their
 * number. A line has jobs whose purchases have the same history (retried, doubtful,
 * turned_away_by), so those that may not go for what has happened to them are passed over together.
 *
 * A purchase may have to wait for a moment before its next try; then its jobs are in no flow. Nor
 * are those of one that is not to be sent any more.
 *
 * Those that come for the first time are bounded in number by the caller; those that come back have
 * been taken already. Not locked: the scheduler's mutex guards queue and flows.
 */
#ifndef SOLVEGATE_JOB_QUEUE_H
#define SOLVEGATE_JOB_QUEUE_H

#include "base/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct purchase;
struct queue;

#define QUEUE_WEIGHT_MAX 1000

/* Of a flow: one of purchases that were not tried yet, some of one history each, and the last one,
 * for what is left where there are more histories. */
#define QUEUE_LINES 16

/* A client's part. Zeroed, with a weight, it is empty. */
struct queue_flow {
        int weight;        /* 1 to QUEUE_WEIGHT_MAX; may be changed at any time */
        int max_in_flight; /* of its turns; 0: no limit. Likewise; see queue_unpark() */
        int in_flight;     /* turns that it was given, and that are not over */

        struct heap lines[QUEUE_LINES]; /* of jobs, by arrival */
        size_t count;                   /* of jobs */
        uint64_t tag;                   /* virtual time */
        uint64_t turn;                  /* of equal tags the lower one is next */
        struct queue *queue;            /* valid with jobs */
        struct heap_node by_tag;        /* in the heap, unless it is empty or parked */
        bool parked;                    /* with jobs: it had its maximum in flight */
        struct queue_flow *prev, *next; /* valid while parked */
};

struct queue {
        struct heap flows;         /* those with jobs that are not parked */
        struct queue_flow *parked; /* the others */
        struct heap delayed;       /* purchases by their moment */
        struct purchase *aside;    /* those that are not to be taken */
        size_t count;              /* purchases */
        uint64_t tag;              /* of the flow that was served last */
        uint64_t turns;            /* turns given, and flows that were empty before */
};

/* Adds a purchase, its reference goes over, and its history does not change while it is here; all
 * its jobs enter their flows. */
void queue_add(struct queue *queue, struct purchase *purchase);

/* Adds one that must wait until then (monotonic), likewise. */
void queue_delay(struct queue *queue, struct purchase *purchase, int64_t not_before_ms);

/* Likewise; until then it is not given to a probe either, even if it is a retry. */
void queue_put_off(struct queue *queue, struct purchase *purchase, int64_t not_before_ms);

/* Adds one that is not to be taken any more, likewise. No job may join it. */
void queue_set_aside(struct queue *queue, struct purchase *purchase);

/* Any purchase; NULL: there is none. */
struct purchase *queue_any(const struct queue *queue);

/* A job has joined a purchase that is in the queue, or leaves it. */
void queue_join(struct queue *queue, struct job *job);
void queue_leave(struct queue *queue, struct job *job);

/* Takes out a given purchase, with its reference. */
void queue_remove(struct queue *queue, struct purchase *purchase);

/* Which purchases may be taken. */
struct queue_filter {
        bool (*may)(void *arg, const struct purchase *purchase);
        /* Returns false if no purchase with the history of this one may be taken. */
        bool (*may_any_like)(void *arg, const struct purchase *purchase);
        void *arg;
};

/*
 * Takes the purchase whose turn it is among those that may, with its reference, and the flow whose
 * turn it was, which then has one more in flight. Delayed ones whose moment has come by now_ms
 * enter their flows first. NULL: none.
 */
struct purchase *queue_pop(struct queue *queue, int64_t now_ms, const struct queue_filter *filter,
                           struct queue_flow **ret_flow);

/*
 * Takes one that is to probe an upstream, likewise: those that are ready first, and a retry before
 * its moment. One that was put off, or is delayed for another reason, waits for it.
 */
struct purchase *queue_pop_probe(struct queue *queue, int64_t now_ms,
                                 const struct queue_filter *filter, struct queue_flow **ret_flow);

/* A turn of a flow is over. */
void queue_turn_over(struct queue_flow *flow);

/* The maximum in flight of some flows may be higher than before. */
void queue_unpark(struct queue *queue);

/* A turn was not used: what it cost is given back. */
void queue_give_back(struct queue_flow *flow);

/* When the earliest of the delayed ones may be taken; INT64_MAX: never. */
int64_t queue_delayed_until(const struct queue *queue);

#endif
