/*
 * queue: the jobs that wait for their turn, in the order they came, bounded in number.
 *
 * Their bytes are bounded by the body pool. Not locked: the scheduler's mutex guards it.
 */
#ifndef SOLVEGATE_JOB_QUEUE_H
#define SOLVEGATE_JOB_QUEUE_H

#include <stddef.h>

struct job;

struct queue {
        struct job *jobs; /* the oldest at the head */
        size_t count;
        size_t max_jobs;
};

/* Adds a job at the end; its reference goes over to the queue. Returns 0 or -ENOBUFS. */
int queue_push(struct queue *queue, struct job *job);

/* Takes the job whose turn it is, with its reference; NULL when there is none. */
struct job *queue_pop(struct queue *queue);

/* The job that has waited longest, and so the first whose deadline passes; or NULL. */
struct job *queue_oldest(const struct queue *queue);

/* Takes out a given job, with its reference. */
void queue_remove(struct queue *queue, struct job *job);

#endif
