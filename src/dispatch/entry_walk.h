/*
 * entry_walk: walks through all unfinished jobs, some in each turn of a loop; a part of the
 * scheduler, as scheduler_private.h.
 *
 * However many jobs there are, the mutex and the loop are held for WALK_BATCH of them. Jobs that
 * come during a walk are visited too. To end a job a walk may have to wait for the store, as the
 * end of overdue ones does, so that other records wait for one short transaction only; but it does
 * not wait for a store that cannot write.
 */
#ifndef SOLVEGATE_DISPATCH_ENTRY_WALK_H
#define SOLVEGATE_DISPATCH_ENTRY_WALK_H

#include <stdbool.h>

struct endings;
struct job;
struct loop;
struct scheduler;
struct walk;

#define WALK_BATCH 64 /* jobs that are looked at in one turn */

/* What a walk does. Both are called with the mutex held. */
struct walk_kind {
        /* Whether it goes on: false ends it before all jobs are visited. */
        bool (*goes_on)(const struct scheduler *scheduler);
        /* Looks at a job, and may end it and others. Returns false, without an effect, if there is
         * no room to end the job: it is looked at again in another turn. */
        bool (*judge)(struct endings *endings, struct job *job, struct walk *walk);
};

/* Begins a walk, or begins it again, on a loop that outlives the scheduler; it goes on in the next
 * turns. walk->done, if it is set, is called once at the end. */
void walk_begin_locked(struct walk *walk, const struct walk_kind *kind, struct loop *loop);

/* A walk that is under way is done once more from the beginning when it has ended. */
void walk_again_locked(struct walk *walk);

/* Whether a walk may end one more job now. */
bool walk_has_room_locked(const struct endings *endings);

#endif
