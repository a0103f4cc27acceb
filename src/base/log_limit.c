/*
 * log_limit: see log_limit.h.
 *
 * A bucket is kept as the moment at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371): each line moves that by one interval, and it may be a burst ahead of now.
 */
#include "base/log_limit.h"

#define TELL_AGAIN_US 1000000

/* Those that ever left a line out; none leaves. */
static _Atomic(struct log_limit *) limits;

static void list_once(struct log_limit *limit)
{
        if (atomic_load_explicit(&limit->listed, memory_order_relaxed) ||
            atomic_exchange(&limit->listed, true))
                return;
        limit->next = atomic_load(&limits);
        while (!atomic_compare_exchange_weak(&limits, &limit->next, limit)) {
        }
}

bool log_limit_take(struct log_limit *limit, int64_t now_us)
{
        return log_limit_take_from(limit, &limit->bucket, now_us);
}

bool log_limit_take_from(struct log_limit *limit, struct log_bucket *bucket, int64_t now_us)
{
        const int64_t ahead_us = (limit->burst - 1) * limit->interval_us;
        int64_t full_us = atomic_load_explicit(&bucket->full_us, memory_order_relaxed);
        int64_t next_us;

        do {
                if (full_us > now_us + ahead_us) {
                        (void)atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
                        list_once(limit);
                        return false;
                }
                next_us = (full_us > now_us ? full_us : now_us) + limit->interval_us;
        } while (!atomic_compare_exchange_weak_explicit(
                &bucket->full_us, &full_us, next_us, memory_order_relaxed, memory_order_relaxed));
        return true;
}

static void tell(struct log_limit *limit, int64_t now_us)
{
        int64_t told_us = atomic_load_explicit(&limit->told_us, memory_order_relaxed);

        if (now_us < INT64_MAX && now_us - told_us < TELL_AGAIN_US)
                return;
        int64_t left_out = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
        if (left_out == 0)
                return;
        atomic_store_explicit(&limit->told_us, now_us, memory_order_relaxed);
        log_line(limit->level, "%s not logged: %lld", limit->what, (long long)left_out);
}

void log_limits_tell(int64_t now_us)
{
        for (struct log_limit *limit = atomic_load(&limits); limit; limit = limit->next)
                tell(limit, now_us);
}
