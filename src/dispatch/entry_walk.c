/*
 * entry_walk: see entry_walk.h.
 */
#include "dispatch/entry_walk.h"

#include "dispatch/end_job.h"
#include "dispatch/scheduler_private.h"
#include "store/store.h"

bool walk_has_room_locked(const struct endings *endings)
{
        return endings_have_room_locked(endings) ||
               (endings->count < ENDINGS_BATCH && !scheduler_store_writes(endings->scheduler));
}

/* Returns false at the end of the walk. */
static bool judge_next_locked(struct walk *walk, struct endings *endings)
{
        struct job *job = unfinished_cursor_next(&walk->cursor);

        if (!job || !walk->kind->goes_on(walk->scheduler))
                return false;
        walk->waits = !walk->kind->judge(endings, job, walk);
        if (walk->waits)
                walk->cursor.next = job;
        return true;
}

static bool judge_batch_locked(struct walk *walk)
{
        struct endings endings = {.scheduler = walk->scheduler, .loop = walk->loop};
        bool more = true;

        walk->waits = false;
        for (int i = 0; more && !walk->waits && i < WALK_BATCH; i++)
                more = judge_next_locked(walk, &endings);
        endings_write_locked(&endings);
        return more;
}

static void end_walk_locked(struct walk *walk)
{
        struct scheduler *scheduler = walk->scheduler;
        const struct walk_kind *kind = walk->kind;

        unfinished_cursor_close(&scheduler->unfinished, &walk->cursor);
        walk->kind = NULL;
        if (walk->again)
                walk_begin_locked(walk, kind, walk->loop);
}

static void on_walk_mail(struct mail *mail)
{
        struct walk *walk = (struct walk *)((char *)mail - offsetof(struct walk, mail));
        struct scheduler *scheduler = walk->scheduler;
        struct entry_unwanted_counts counts = {0};
        void (*done)(void *arg, const struct entry_unwanted_counts *counts) = NULL;
        void *arg = NULL;

        (void)pthread_mutex_lock(&scheduler->mutex);
        walk->posted = false;
        if (judge_batch_locked(walk)) {
                scheduler_walk_on_locked(walk);
        } else {
                done = walk->done;
                arg = walk->arg;
                counts = walk->counts;
                walk->done = NULL;
                end_walk_locked(walk);
        }
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (done)
                done(arg, &counts);
}

void walk_begin_locked(struct walk *walk, const struct walk_kind *kind, struct loop *loop)
{
        struct unfinished *unfinished = &walk->scheduler->unfinished;

        if (walk->kind)
                unfinished_cursor_close(unfinished, &walk->cursor);
        unfinished_cursor_open(unfinished, &walk->cursor);
        walk->kind = kind;
        walk->loop = loop;
        walk->waits = false;
        walk->again = false;
        walk->counts = (struct entry_unwanted_counts){0};
        walk->mail.deliver = on_walk_mail;
        scheduler_walk_on_locked(walk);
}

void walk_again_locked(struct walk *walk)
{
        walk->again = true;
}
