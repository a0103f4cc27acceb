/*
 * queue: the purchases that wait for their turn, in the order of their numbers, and those that wait
 * for a moment before their next try.
 *
 * Those that come for the first time are bounded in number; those that come back have been taken
 * already and always find room. The bytes are bounded by the body pool. Not locked: the
 * scheduler's mutex guards it.
 */
#ifndef SOLVEGATE_JOB_QUEUE_H
#define SOLVEGATE_JOB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct purchase;

struct queue {
        struct purchase *ready;   /* the lowest number at the head */
        struct purchase *delayed; /* the earliest at the head */
        size_t count;             /* of both */
        size_t max;
};

/* Adds one with a higher number than all; its reference goes over. Returns 0 or -ENOBUFS. */
int queue_push(struct queue *queue, struct purchase *purchase);

/* Puts one back in its place, with its reference. */
void queue_return(struct queue *queue, struct purchase *purchase);

/* Puts one back that must wait until then (monotonic). */
void queue_delay(struct queue *queue, struct purchase *purchase, int64_t not_before_ms);

/*
 * Takes the one whose turn it is, with its reference: a delayed one whose moment has come by
 * now_ms, else the first that is ready; those that wait for a retry only if retries may be. NULL:
 * none.
 */
struct purchase *queue_pop(struct queue *queue, int64_t now_ms, bool retries);

/*
 * Takes one that is to probe an upstream: those that are ready first, and a retry before its
 * moment. One that is delayed for another reason waits for it.
 */
struct purchase *queue_pop_probe(struct queue *queue, int64_t now_ms);

/* When the earliest of the delayed ones may be taken; INT64_MAX without any. */
int64_t queue_delayed_until(const struct queue *queue);

/* Takes out a given one, with its reference. */
void queue_remove(struct queue *queue, struct purchase *purchase);

#endif
