/*
 * queue: the purchases that wait to be sent, in the flows of their clients.
 *
 * Each client has a flow: its jobs whose purchases wait, in order of arrival. A purchase goes when
 * the first of its jobs has its turn, so a job that joined a purchase waits in its own client's
 * flow, and not behind the other's jobs. Whose turn it is, turns.h and the arbiter know; they are
 * told which flows want a turn.
 *
 * The jobs of a flow are in lines, each a heap by arrival, so one that comes back takes its place
 * in the logarithm of their number. A line has jobs whose purchases have the same history (retried,
 * doubtful, turned_away_by), so those that may not go for what has happened to them are passed over
 * together.
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
#include "job/turns.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct purchase;

/* Of a flow: one of purchases that were not tried yet, some of one history each, and the last one,
 * for what is left where there are more histories. */
#define QUEUE_LINES 16

/* A client's part. Zeroed, with a weight, it is empty. */
struct queue_flow {
        struct turns_share turns;       /* the arbiter's; it wants turns while there are jobs */
        struct heap lines[QUEUE_LINES]; /* of jobs, by arrival */
        size_t count;                   /* of jobs */
};

struct queue {
        struct heap delayed;    /* purchases by their moment */
        struct purchase *aside; /* those that are not to be taken */
        size_t count;           /* purchases */
        /* Is told when a flow wants turns, and when no more. */
        void (*wants)(void *arg, struct queue_flow *flow, bool wants);
        void *arg;
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

/* Lets delayed purchases enter their flows whose moment has come by now_ms. */
void queue_end_delays(struct queue *queue, int64_t now_ms);

/* The first job of a flow that may go; NULL: none. Its purchase then leaves by queue_remove(). */
struct job *queue_first(const struct queue_flow *flow, const struct queue_filter *filter);

/*
 * A job of a delayed purchase that may go to probe an upstream, and whose flow has room in flight:
 * a retry before its moment, or one whose moment has come. One that was put off, or is delayed for
 * another reason, waits for it. If flow is not NULL, a job of that flow. NULL: none.
 */
struct job *queue_first_delayed(struct queue *queue, int64_t now_ms,
                                const struct queue_filter *filter, const struct queue_flow *flow);

/* When the earliest of the delayed ones may be taken; INT64_MAX: never. */
int64_t queue_delayed_until(const struct queue *queue);

#endif
