/*
 * scheduler_unfinished: the jobs that are not final: in the order in which they were added, and by
 * deadline those that may be ended when it passes; see scheduler_private.h.
 */
#include "dispatch/scheduler_private.h"

#include "job/job.h"

#include <stdint.h>
#include <utlist.h>

static struct job *job_of(const struct heap_node *node)
{
        return (struct job *)((char *)(uintptr_t)node - offsetof(struct job, by_deadline));
}

static bool due_before(const struct heap_node *a, const struct heap_node *b)
{
        const struct job *one = job_of(a), *other = job_of(b);

        if (one->deadline_ms != other->deadline_ms)
                return one->deadline_ms < other->deadline_ms;
        return one->arrival < other->arrival;
}

void unfinished_add(struct unfinished *unfinished, struct job *job)
{
        DL_APPEND2(unfinished->jobs, job, unfinished_prev, unfinished_next);
        unfinished->count++;
        unfinished_expect(unfinished, job);
}

void unfinished_remove(struct unfinished *unfinished, struct job *job)
{
        struct unfinished_cursor *cursor;

        LL_FOREACH2(unfinished->cursors, cursor, other)
        {
                if (cursor->next == job)
                        cursor->next = job->unfinished_next;
        }
        DL_DELETE2(unfinished->jobs, job, unfinished_prev, unfinished_next);
        unfinished->count--;
        unfinished_park(unfinished, job);
}

struct job *unfinished_first_due(const struct unfinished *unfinished)
{
        return unfinished->by_deadline.first ? job_of(unfinished->by_deadline.first) : NULL;
}

struct job *unfinished_first_overdue(const struct unfinished *unfinished, int64_t now_ms)
{
        struct job *job = unfinished_first_due(unfinished);

        return job && job->deadline_ms <= now_ms ? job : NULL;
}

void unfinished_park(struct unfinished *unfinished, struct job *job)
{
        if (job->by_deadline.in_heap)
                heap_remove(&unfinished->by_deadline, &job->by_deadline, due_before);
}

void unfinished_expect(struct unfinished *unfinished, struct job *job)
{
        if (!job->by_deadline.in_heap)
                heap_insert(&unfinished->by_deadline, &job->by_deadline, due_before);
}

void unfinished_cursor_open(struct unfinished *unfinished, struct unfinished_cursor *cursor)
{
        cursor->next = unfinished->jobs;
        LL_PREPEND2(unfinished->cursors, cursor, other);
}

void unfinished_cursor_close(struct unfinished *unfinished, struct unfinished_cursor *cursor)
{
        LL_DELETE2(unfinished->cursors, cursor, other);
}

struct job *unfinished_cursor_next(struct unfinished_cursor *cursor)
{
        struct job *job = cursor->next;

        if (job)
                cursor->next = job->unfinished_next;
        return job;
}
