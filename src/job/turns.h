/*
 * turns: whose turn it is among clients, by weight. Start-time fair queueing: each client has a
 * tag, a turn moves it on by 1/weight, and the lowest tag is next. One that wants something again
 * starts at the tag that was served last: what it did not use was lent to the others, and is not
 * given back; so does one that could not take its turn.
 *
 * Those that want something are in a heap by tag, so a turn takes the logarithm of their number.
 * One that has its maximum in flight is parked beside the heap once it would be next.
 *
 * Not locked: the scheduler's mutex guards all of it.
 */
#ifndef SOLVEGATE_JOB_TURNS_H
#define SOLVEGATE_JOB_TURNS_H

#include "base/heap.h"

#include <stdbool.h>
#include <stdint.h>

#define TURNS_WEIGHT_MAX 1000

/* A client's part. Zeroed, with a weight, it wants nothing. */
struct turns_share {
        int weight;        /* 1 to TURNS_WEIGHT_MAX; may be changed at any time */
        int max_in_flight; /* of its turns; 0: no limit. Likewise; see turns_limits_changed() */
        int in_flight;     /* turns that it was given, and that are not over */

        bool wants;
        uint64_t tag;                    /* virtual time */
        uint64_t turn;                   /* of equal tags the lower one is next */
        struct heap_node by_tag;         /* in the heap, if it wants something and is not parked */
        bool parked;                     /* it wants something, and had its maximum in flight */
        struct turns_share *prev, *next; /* valid while parked */
};

/* Zeroed, it is empty. */
struct turns {
        struct heap shares;         /* those that want something and are not parked */
        struct turns_share *parked; /* the others */
        uint64_t tag;               /* of the one that was served last */
        uint64_t count;             /* of turns given, and of those that wanted nothing before */
};

/* A client wants turns from now on, or no more. */
void turns_want(struct turns *turns, struct turns_share *share);
void turns_want_nothing(struct turns *turns, struct turns_share *share);

/*
 * Gives the next turn, among those that may have it, and counts it. may() is asked of one after the
 * other in their order; those of which it is false lend their turns. NULL: nobody.
 */
struct turns_share *turns_take(struct turns *turns,
                               bool (*may)(void *arg, struct turns_share *share), void *arg);

/* Gives a turn to this one, whoever is next, and whether it wants something or not. Returns false
 * if it has its maximum in flight. */
bool turns_take_for(struct turns *turns, struct turns_share *share);

/* Whether it has less than its maximum in flight. */
bool turns_has_room(const struct turns_share *share);

/* A turn is over. */
void turns_over(struct turns *turns, struct turns_share *share);

/* A turn was not used: what it cost is given back. */
void turns_give_back(struct turns *turns, struct turns_share *share);

/* The maximum in flight of some may be higher than before. */
void turns_limits_changed(struct turns *turns);

#endif
