/*
 * gateway_sweep: final jobs that go, and the memory that they leave; see gateway.h.
 */
#include "engine/gateway_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "job/results.h"
#include "job/store.h"

#include <inttypes.h>
#include <malloc.h>

/* Memory goes back to the kernel in pieces of this size, since malloc_trim(3) takes some
 * milliseconds for each; then what is left; and again once the store has deleted the rows of these
 * jobs, for which it keeps their IDs, and its cache of pages some seconds later. */
#define RETURN_BYTES       (16 << 20)
#define RETURN_QUIET_MS    2000
#define RETURN_AGAIN_MS    3000
#define RETURNS_AFTER_FREE 4

#define TELL_AGAIN_MS 60000

/* A job that was paid for goes early only where all that were paid for exceed results.bytes. */
static void tell_paid_early(struct gateway *gateway, int64_t count, int64_t now_ms)
{
        int64_t more = count - gateway->paid_early_told;

        if (more == 0 || now_ms < gateway->tell_paid_early_ms)
                return;
        log_warning("%" PRId64 " charged result%s dropped before results.ttl, because all of "
                    "them together exceed results.bytes; a repeat with the Idempotency-Key of one "
                    "is charged again: raise results.bytes, or lower results.ttl",
                    more, more == 1 ? " was" : "s were");
        gateway->paid_early_told = count;
        gateway->tell_paid_early_ms = now_ms + TELL_AGAIN_MS;
}

static bool deletes(const struct gateway *gateway)
{
        return gateway->store && store_forgets(gateway->store);
}

/* The allocator keeps what is free between blocks that are in use, unless it is asked. */
static void return_now(struct gateway *gateway, int64_t now_ms)
{
        gateway->returned_bytes = gateway->freed_bytes;
        (void)malloc_trim(0);
        log_debug("memory of final jobs was returned in %" PRId64 " ms",
                  clock_monotonic_ms() - now_ms);
}

static void return_memory(struct gateway *gateway, int64_t freed_bytes, int64_t now_ms)
{
        if (freed_bytes != gateway->freed_bytes) {
                gateway->freed_bytes = freed_bytes;
                gateway->return_at_ms = now_ms + RETURN_QUIET_MS;
                if (freed_bytes - gateway->returned_bytes >= RETURN_BYTES) {
                        gateway->returns_left = RETURNS_AFTER_FREE;
                        return_now(gateway, now_ms);
                }
        } else if (gateway->returns_left > 0 && now_ms >= gateway->return_at_ms &&
                   (gateway->returns_left == RETURNS_AFTER_FREE || !deletes(gateway))) {
                gateway->returns_left--;
                gateway->return_at_ms = now_ms + RETURN_AGAIN_MS;
                return_now(gateway, now_ms);
        }
}

bool gateway_sweep(struct gateway *gateway)
{
        int64_t now_ms = clock_monotonic_ms();
        bool more = results_sweep(gateway->results, now_ms);
        struct results_figures figures;

        results_read(gateway->results, &figures);
        tell_paid_early(gateway, figures.paid_early, now_ms);
        return_memory(gateway, figures.freed_bytes, clock_monotonic_ms());
        return more;
}

void gateway_sweep_done(struct gateway *gateway)
{
        struct results_figures figures;

        results_read(gateway->results, &figures);
        tell_paid_early(gateway, figures.paid_early, INT64_MAX - TELL_AGAIN_MS);
}
