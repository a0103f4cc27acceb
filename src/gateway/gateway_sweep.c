/*
 * gateway_sweep: final jobs that go, and the memory that they leave; see gateway_sweep.h.
 */
#include "gateway/gateway_sweep.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway_private.h"
#include "job/results.h"
#include "store/store.h"

#include <inttypes.h>
#include <malloc.h>

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

static bool has_rows_to_delete(const struct gateway *gateway)
{
        return gateway->store && store_forgets(gateway->store);
}

/* The allocator keeps what is free between blocks that are in use, unless it is asked. */
static void return_memory(struct gateway *gateway, int64_t freed_bytes)
{
        int64_t now_ms = clock_monotonic_ms();
        bool rows_wait = has_rows_to_delete(gateway);

        if (!memory_return_due(&gateway->memory, freed_bytes, rows_wait, now_ms))
                return;
        (void)malloc_trim(0);
        log_debug("memory of final jobs was returned in %" PRId64 " ms%s",
                  clock_monotonic_ms() - now_ms,
                  rows_wait ? ", and will be again after their rows are deleted" : "");
}

bool gateway_sweep(struct gateway *gateway)
{
        int64_t now_ms = clock_monotonic_ms();
        bool more = results_sweep(gateway->results, now_ms);
        struct results_figures figures;

        results_read(gateway->results, &figures);
        tell_paid_early(gateway, figures.paid_early, now_ms);
        return_memory(gateway, figures.freed_bytes);
        return more;
}

void gateway_sweep_done(struct gateway *gateway)
{
        struct results_figures figures;

        results_read(gateway->results, &figures);
        tell_paid_early(gateway, figures.paid_early, INT64_MAX - TELL_AGAIN_MS);
}
