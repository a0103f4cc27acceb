/*
 * turns: see turns.h.
 */
#include "job/turns.h"

#include <assert.h>
#include <stddef.h>
#include <utlist.h>

/* A turn of weight 1, in virtual time: enough turns for centuries, fine enough for every weight. */
#define TURN (UINT64_C(1) << 20)

static uint64_t cost_of(const struct turns_share *share)
{
        return TURN / (uint64_t)share->weight;
}

bool turns_has_room(const struct turns_share *share)
{
        return share->max_in_flight == 0 || share->in_flight < share->max_in_flight;
}

/* What it did not use is not given back. */
static void catch_up(const struct turns *turns, struct turns_share *share)
{
        if (share->tag < turns->tag)
                share->tag = turns->tag;
}

static struct turns_share *share_of(const struct heap_node *node)
{
        return (struct turns_share *)((char *)(uintptr_t)node -
                                      offsetof(struct turns_share, by_tag));
}

/* Of equals the one that was served longest ago is first. */
static bool share_before(const struct heap_node *a, const struct heap_node *b)
{
        const struct turns_share *one = share_of(a), *other = share_of(b);

        return one->tag != other->tag ? one->tag < other->tag : one->turn < other->turn;
}

static void put_in_heap(struct turns *turns, struct turns_share *share)
{
        heap_insert(&turns->shares, &share->by_tag, share_before);
}

/* From the heap or from among the parked, if it is there. */
static void take_out(struct turns *turns, struct turns_share *share)
{
        if (share->by_tag.in_heap)
                heap_remove(&turns->shares, &share->by_tag, share_before);
        if (share->parked)
                DL_DELETE(turns->parked, share);
        share->parked = false;
}

static void park(struct turns *turns, struct turns_share *share)
{
        take_out(turns, share);
        share->parked = true;
        DL_APPEND(turns->parked, share);
}

/* It lent its turns meanwhile, as one does that wants nothing. */
static void unpark(struct turns *turns, struct turns_share *share)
{
        if (!share->parked || !turns_has_room(share))
                return;
        take_out(turns, share);
        catch_up(turns, share);
        put_in_heap(turns, share);
}

void turns_limits_changed(struct turns *turns)
{
        struct turns_share *share, *next;

        DL_FOREACH_SAFE (turns->parked, share, next)
                unpark(turns, share);
}

void turns_want(struct turns *turns, struct turns_share *share)
{
        assert(!share->wants);
        share->wants = true;
        catch_up(turns, share);
        share->turn = ++turns->count;
        put_in_heap(turns, share);
}

void turns_want_nothing(struct turns *turns, struct turns_share *share)
{
        assert(share->wants);
        share->wants = false;
        take_out(turns, share);
}

static void count_turn(struct turns *turns, struct turns_share *share)
{
        take_out(turns, share); /* its place changes */
        if (turns->tag < share->tag)
                turns->tag = share->tag;
        share->tag += cost_of(share);
        share->in_flight++;
        share->turn = ++turns->count;
        if (share->wants)
                put_in_heap(turns, share);
}

struct turns_share *turns_take(struct turns *turns,
                               bool (*may)(void *arg, struct turns_share *share), void *arg)
{
        struct turns_share *lending = NULL, *found = NULL, *share, *next;

        while (!found && turns->shares.first) {
                share = share_of(turns->shares.first);
                if (!turns_has_room(share)) {
                        park(turns, share);
                } else if (may(arg, share)) {
                        found = share;
                } else {
                        take_out(turns, share);
                        catch_up(turns, share);
                        LL_PREPEND(lending, share);
                }
        }
        LL_FOREACH_SAFE (lending, share, next)
                put_in_heap(turns, share);
        if (found)
                count_turn(turns, found);
        return found;
}

bool turns_take_for(struct turns *turns, struct turns_share *share)
{
        if (!turns_has_room(share))
                return false;
        take_out(turns, share);
        catch_up(turns, share);
        count_turn(turns, share);
        return true;
}

void turns_over(struct turns *turns, struct turns_share *share)
{
        assert(share->in_flight > 0);
        share->in_flight--;
        unpark(turns, share);
}

void turns_give_back(struct turns *turns, struct turns_share *share)
{
        bool in_heap = share->by_tag.in_heap;

        if (share->tag < cost_of(share))
                return;
        if (in_heap)
                take_out(turns, share);
        share->tag -= cost_of(share);
        if (in_heap)
                put_in_heap(turns, share);
}
