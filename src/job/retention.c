/*
 * retention: see retention.h.
 */
#include "job/retention.h"

#include "base/hash_table.h"
#include "job/outcome.h"
#include "job/purchase.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What the allocator adds to a block, beyond what malloc_usable_size(3) says. */
#define BLOCK_BYTES sizeof(size_t)

/* A job's part of the buckets of the tables of IDs, keys and identities. uthash has a bucket for
 * three to ten items. */
#define TABLES_BYTES ((3 * sizeof(struct UT_hash_bucket)) / 4)

/* A client with jobs in the results. */
struct retention_client {
        UT_hash_handle by_name;
        size_t jobs; /* final or not */
        struct retention_share shares[RETENTION_CLASSES];
        char name[];
};

/* ---- heaps ---- */

static const struct retention_share *share_of(const struct heap_node *node)
{
        return (const struct retention_share *)((const char *)node -
                                                offsetof(struct retention_share, node));
}

static bool is_larger(const struct heap_node *one, const struct heap_node *other)
{
        return share_of(one)->bytes > share_of(other)->bytes;
}

static enum retention_class class_of(const struct retention_share *share)
{
        return share == &share->client->shares[RETENTION_PAID] ? RETENTION_PAID : RETENTION_FREE;
}

static void count_bytes(struct retention *retention, struct retention_share *share, int64_t bytes)
{
        struct retention_heap *heap = &retention->heaps[class_of(share)];

        if (share->node.in_heap)
                heap_remove(&heap->shares, &share->node, is_larger);
        share->bytes += bytes;
        heap->bytes += bytes;
        if (share->bytes > 0)
                heap_insert(&heap->shares, &share->node, is_larger);
}

/* ---- clients ---- */

static struct retention_client *add_client(struct retention *retention, const char *name)
{
        size_t len = strlen(name);
        struct retention_client *client = calloc(1, sizeof *client + len + 1);

        if (!client)
                return NULL;
        memcpy(client->name, name, len + 1);
        HASH_ADD_KEYPTR(by_name, retention->clients, client->name, len, client);
        if (!client->by_name.tbl) { /* no memory, see HASH_NONFATAL_OOM */
                free(client);
                return NULL;
        }
        for (int class = 0; class < RETENTION_CLASSES; class ++)
                client->shares[class].client = client;
        return client;
}

static void drop_client(struct retention *retention, struct retention_client *client)
{
        for (int class = 0; class < RETENTION_CLASSES; class ++)
                assert(!client->shares[class].jobs && client->shares[class].bytes == 0);
        HASH_DELETE(by_name, retention->clients, client);
        free(client);
}

void retention_init(struct retention *retention, int64_t max_bytes)
{
        *retention = (struct retention){.max_bytes = max_bytes};
}

void retention_done(struct retention *retention)
{
        assert(!retention->clients && !retention->expiry);
        *retention = (struct retention){0};
}

int retention_join(struct retention *retention, struct job *job)
{
        struct retention_client *client;

        HASH_FIND(by_name, retention->clients, job->client, strlen(job->client), client);
        if (!client)
                client = add_client(retention, job->client);
        if (!client)
                return -ENOMEM;
        client->jobs++;
        job->holder = client;
        return 0;
}

void retention_leave(struct retention *retention, struct job *job)
{
        struct retention_client *client = job->holder;

        job->holder = NULL;
        if (--client->jobs == 0)
                drop_client(retention, client);
}

/* ---- bytes ---- */

static size_t block_bytes(const void *block)
{
        /* It only looks. */
        return block ? malloc_usable_size((void *)(uintptr_t)block) + BLOCK_BYTES : 0;
}

/* What a job takes for itself. Its key is in the block of its client's name. */
static size_t own_bytes(const struct job *job)
{
        return block_bytes(job) + block_bytes(job->client) + block_bytes(job->target_json) +
               TABLES_BYTES;
}

/* What all jobs of its purchase share. A job that ended by itself has an outcome of its own; its
 * purchase then counts for it too. */
static size_t shared_bytes(const struct job *job)
{
        const struct purchase *purchase = job->purchase;
        size_t bytes = block_bytes(job->outcome->text) +
                       (job->outcome->spare ? 0 : block_bytes(job->outcome));

        if (!purchase)
                return bytes;
        return bytes + block_bytes(purchase) + block_bytes(purchase->host) +
               block_bytes(purchase->trouble) + block_bytes(purchase->upstream) +
               block_bytes(purchase->upstream_id) + block_bytes(purchase->asked_at);
}

static void count_outcome(struct retention *retention, struct job *job)
{
        struct outcome *outcome = job->outcome;
        bool first = !outcome->sharers;

        DL_APPEND2(outcome->sharers, job, sharer_prev, sharer_next);
        if (!first)
                return;
        outcome->shared_bytes = shared_bytes(job);
        count_bytes(retention, job->share, (int64_t)outcome->shared_bytes);
}

/* The next job that shares it bears it. */
static void uncount_outcome(struct retention *retention, struct job *job)
{
        struct outcome *outcome = job->outcome;
        bool bears = outcome->sharers == job;

        DL_DELETE2(outcome->sharers, job, sharer_prev, sharer_next);
        if (!bears)
                return;
        count_bytes(retention, job->share, -(int64_t)outcome->shared_bytes);
        if (outcome->sharers)
                count_bytes(retention, outcome->sharers->share, (int64_t)outcome->shared_bytes);
}

/* ---- final jobs ---- */

/*
 * Puts a job behind those that finished before it, from the nearer end of the list. Jobs finish in
 * order, and the store gives them back nearly in order, from either end. The walk is short in any
 * case: a job that is far from its place goes later than it could, which no client can see.
 */
#define STEPS_MAX 32
#define INSERT_BY_TIME(list, job, prev, next)                                                      \
        do {                                                                                       \
                struct job *at_ = (list) ? (list)->prev : NULL;                                    \
                int steps_ = 0;                                                                    \
                if (at_ && at_->finished_ms - (job)->finished_ms >                                 \
                                   (job)->finished_ms - (list)->finished_ms) {                     \
                        at_ = (list);                                                              \
                        while (at_->finished_ms <= (job)->finished_ms && steps_++ < STEPS_MAX)     \
                                at_ = at_->next;                                                   \
                        DL_PREPEND_ELEM2(list, at_, job, prev, next);                              \
                        break;                                                                     \
                }                                                                                  \
                while (at_ && at_->finished_ms > (job)->finished_ms && steps_++ < STEPS_MAX)       \
                        at_ = at_ == (list) ? NULL : at_->prev;                                    \
                if (at_)                                                                           \
                        DL_APPEND_ELEM2(list, at_, job, prev, next);                               \
                else                                                                               \
                        DL_PREPEND2(list, job, prev, next);                                        \
        } while (0)

void retention_add(struct retention *retention, struct job *job)
{
        struct retention_share *share =
                &job->holder->shares[job->paid ? RETENTION_PAID : RETENTION_FREE];

        job->share = share;
        INSERT_BY_TIME(retention->expiry, job, expiry_prev, expiry_next);
        INSERT_BY_TIME(share->jobs, job, holder_prev, holder_next);
        job->own_bytes = own_bytes(job);
        count_bytes(retention, share, (int64_t)job->own_bytes);
        count_outcome(retention, job);
}

void retention_remove(struct retention *retention, struct job *job)
{
        struct retention_share *share = job->share;

        uncount_outcome(retention, job);
        count_bytes(retention, share, -(int64_t)job->own_bytes);
        DL_DELETE2(share->jobs, job, holder_prev, holder_next);
        DL_DELETE2(retention->expiry, job, expiry_prev, expiry_next);
        job->share = NULL;
        retention_leave(retention, job);
}

bool retention_is_paid(const struct job *job)
{
        return class_of(job->share) == RETENTION_PAID;
}

int64_t retention_bytes(const struct retention *retention)
{
        return retention->heaps[RETENTION_FREE].bytes + retention->heaps[RETENTION_PAID].bytes;
}

/* The oldest job of the client that holds the most of a class. NULL: there is none. */
static struct job *oldest_of_largest(const struct retention *retention, enum retention_class class)
{
        const struct heap_node *first = retention->heaps[class].shares.first;

        return first ? share_of(first)->jobs : NULL;
}

struct job *retention_next(const struct retention *retention, int64_t over_ms)
{
        struct job *oldest = retention->expiry;

        if (oldest && oldest->finished_ms <= over_ms)
                return oldest;
        if (retention_bytes(retention) <= retention->max_bytes)
                return NULL;
        struct job *paid = oldest_of_largest(retention, RETENTION_PAID);
        int64_t free_bytes = retention->heaps[RETENTION_FREE].bytes;
        if (paid && free_bytes <= retention->max_bytes / RETENTION_FREE_PART)
                return paid;
        return oldest_of_largest(retention, RETENTION_FREE);
}
