/*
 * body: see body.h.
 */
#include "job/body.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GROWTH_BYTES 65536 /* a chunked body grows by this at least */

/* Returns what is left. */
static int64_t give(_Atomic int64_t *counter, int64_t bytes)
{
        int64_t before = atomic_fetch_sub(counter, bytes);

        assert(before >= bytes);
        return before - bytes;
}

/* Takes all bytes, or none if they exceed the limit. Bytes that do not fit are never counted, so
 * they do not keep another body out that fits. */
static bool take_within(struct body_pool *pool, int64_t bytes, int64_t limit)
{
        int64_t before = atomic_load(&pool->bytes);

        do {
                if (before > limit - bytes)
                        return false;
        } while (!atomic_compare_exchange_weak(&pool->bytes, &before, before + bytes));
        return true;
}

/* Returns how many bytes the owner has with these. */
static int64_t share_take(struct body_pool *pool, struct body_share *share, int64_t bytes)
{
        int64_t before = atomic_fetch_add(&share->bytes, bytes);

        if (before == 0)
                (void)atomic_fetch_add(&pool->owners, 1);
        return before + bytes;
}

static void share_give(struct body_pool *pool, struct body_share *share, int64_t bytes)
{
        if (give(&share->bytes, bytes) == 0)
                (void)atomic_fetch_sub(&pool->owners, 1);
}

static bool is_little(const struct body_pool *pool, int64_t bytes, int64_t spare_bytes)
{
        int64_t owners = atomic_load(&pool->owners);

        return bytes <= atomic_load(&pool->body_max_bytes) ||
               bytes <= spare_bytes / (owners > 0 ? owners + 1 : 2);
}

/* Adds to the share before it reads the share, so that of two bodies of one owner at least one is
 * counted with the other. */
static int pool_take(struct body_pool *pool, struct body_share *share, int64_t bytes)
{
        int64_t spare_bytes = atomic_load(&pool->spare_bytes);
        bool little = share && is_little(pool, share_take(pool, share, bytes), spare_bytes);

        if (take_within(pool, bytes, pool->max_bytes - (little ? 0 : spare_bytes)))
                return 0;
        if (share)
                share_give(pool, share, bytes);
        return -ENOBUFS;
}

static void pool_give(struct body_pool *pool, struct body_share *share, int64_t bytes)
{
        (void)give(&pool->bytes, bytes);
        if (share)
                share_give(pool, share, bytes);
}

/* Makes the capacity at least capacity bytes. */
static int body_grow(struct body *body, size_t capacity)
{
        size_t more = capacity - body->counted;
        int r = pool_take(body->pool, body->share, (int64_t)more);

        if (r < 0)
                return r;
        char *data = realloc(body->data, capacity);
        if (!data) {
                pool_give(body->pool, body->share, (int64_t)more);
                return -ENOMEM;
        }
        body->data = data;
        body->counted = capacity;
        return 0;
}

int body_new(struct body_pool *pool, struct body_share *share, int64_t length,
             struct body **ret_body)
{
        if (length > pool->body_max_bytes)
                return -EMSGSIZE;
        struct body *body = calloc(1, sizeof *body);
        if (!body)
                return -ENOMEM;
        atomic_init(&body->references, 1);
        body->pool = pool;
        body->share = share;
        int r = length > 0 ? body_grow(body, (size_t)length) : 0;
        if (r < 0) {
                body_unref(body);
                return r;
        }
        *ret_body = body;
        return 0;
}

int body_append(struct body *body, const void *bytes, size_t len)
{
        if (len > body->counted - body->len) {
                size_t need = body->len + len, wanted = body->counted * 2;
                size_t max = (size_t)body->pool->body_max_bytes;
                if (need > max)
                        return -EMSGSIZE;
                if (wanted < need + GROWTH_BYTES)
                        wanted = need + GROWTH_BYTES;
                if (wanted > max)
                        wanted = max;
                int r = body_grow(body, wanted);
                if (r < 0)
                        return r;
        }
        memcpy(body->data + body->len, bytes, len);
        body->len += len;
        return 0;
}

int body_new_beyond(struct body_pool *pool, size_t length, struct body **ret_body)
{
        struct body *body = calloc(1, sizeof *body);

        if (!body)
                return -ENOMEM;
        atomic_init(&body->references, 1);
        body->pool = pool;
        body->data = malloc(length > 0 ? length : 1);
        if (!body->data) {
                free(body);
                return -ENOMEM;
        }
        (void)atomic_fetch_add(&pool->bytes, (int64_t)length);
        body->counted = length;
        *ret_body = body;
        return 0;
}

struct body *body_ref(struct body *body)
{
        (void)atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
        return body;
}

void body_unref(struct body *body)
{
        if (!body || atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) != 1)
                return;
        if (body->counted > 0)
                pool_give(body->pool, body->share, (int64_t)body->counted);
        free(body->data);
        free(body);
}
