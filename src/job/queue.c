/*
 * queue: see queue.h.
 */
#include "job/queue.h"

#include "job/job.h"

#include <errno.h>
#include <utlist.h>

int queue_push(struct queue *queue, struct job *job)
{
        if (queue->count >= queue->max_jobs)
                return -ENOBUFS;
        DL_APPEND2(queue->jobs, job, queue_prev, queue_next);
        queue->count++;
        return 0;
}

struct job *queue_oldest(const struct queue *queue)
{
        return queue->jobs;
}

void queue_remove(struct queue *queue, struct job *job)
{
        DL_DELETE2(queue->jobs, job, queue_prev, queue_next);
        queue->count--;
}

struct job *queue_pop(struct queue *queue)
{
        struct job *job = queue->jobs;

        if (job)
                queue_remove(queue, job);
        return job;
}
