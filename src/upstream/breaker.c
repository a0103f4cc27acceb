/*
 * breaker: see breaker.h.
 */
#include "upstream/breaker.h"

#include <assert.h>

static int64_t smaller(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

void breaker_init(struct breaker *breaker, int64_t probe_ms, int64_t recheck_ms)
{
        *breaker = (struct breaker){.probe_ms = probe_ms, .recheck_ms = recheck_ms};
}

bool breaker_allows(const struct breaker *breaker, int64_t now_ms, int64_t *ret_again_ms)
{
        if (breaker->open && breaker->probing) {
                *ret_again_ms = INT64_MAX;
                return false;
        }
        if (now_ms < breaker->until_ms) {
                *ret_again_ms = breaker->until_ms;
                return false;
        }
        return true;
}

bool breaker_begin(struct breaker *breaker)
{
        assert(!breaker->probing);
        breaker->probing = breaker->open;
        return breaker->probing;
}

/* Opens, or stays open for one more pause. An earlier wish for a longer one holds. */
static void open_for(struct breaker *breaker, int64_t pause_ms, int64_t wish_ms, int64_t now_ms)
{
        breaker->open = true;
        breaker->failures = 0;
        breaker->pause_ms = pause_ms;
        breaker->until_ms = larger(breaker->until_ms, now_ms + larger(pause_ms, wish_ms));
}

static void close_again(struct breaker *breaker)
{
        breaker->open = false;
        breaker->out = false;
}

/* While closed: counts, and keeps the upstream's wish. Returns whether it opens. */
static bool count_failure(struct breaker *breaker, int64_t wish_ms, int64_t now_ms)
{
        breaker->until_ms = larger(breaker->until_ms, now_ms + wish_ms);
        if (++breaker->failures < BREAKER_FAILURES)
                return false;
        open_for(breaker, breaker->probe_ms, wish_ms, now_ms);
        return true;
}

static bool end_closed(struct breaker *breaker, enum breaker_result result, int64_t wish_ms,
                       int64_t now_ms)
{
        switch (result) {
        case BREAKER_WELL:
                breaker->failures = 0;
                return false;
        case BREAKER_LATER:
        case BREAKER_UNREACHABLE:
        case BREAKER_UNCLEAR:
                return count_failure(breaker, wish_ms, now_ms);
        case BREAKER_REFUSED:
                breaker->out = true;
                open_for(breaker, breaker->recheck_ms, wish_ms, now_ms);
                return true;
        case BREAKER_NOTHING:
                break;
        }
        return false;
}

/* An account that is out stays so until a probe says otherwise: trouble on the way does not. */
static int64_t pause_after(const struct breaker *breaker, enum breaker_result result)
{
        if (breaker->out)
                return breaker->recheck_ms;
        if (result == BREAKER_UNCLEAR)
                return smaller(breaker->pause_ms * 2,
                               larger(breaker->probe_ms, breaker->recheck_ms));
        return breaker->probe_ms;
}

static bool end_probe(struct breaker *breaker, enum breaker_result result, int64_t wish_ms,
                      int64_t now_ms)
{
        breaker->probing = false;
        switch (result) {
        case BREAKER_WELL:
                close_again(breaker);
                return true;
        case BREAKER_REFUSED:
                breaker->out = true;
                break;
        case BREAKER_LATER:
        case BREAKER_UNREACHABLE:
        case BREAKER_UNCLEAR:
                break;
        case BREAKER_NOTHING: /* the pause is over still, and the next job is the probe */
                return false;
        }
        open_for(breaker, pause_after(breaker, result), wish_ms, now_ms);
        return false;
}

/* A job that was under way when it opened: only a wish, or that the account is refused, is news. */
static void end_open(struct breaker *breaker, enum breaker_result result, int64_t wish_ms,
                     int64_t now_ms)
{
        if (result == BREAKER_REFUSED) {
                breaker->out = true;
                open_for(breaker, breaker->recheck_ms, wish_ms, now_ms);
        } else if (result != BREAKER_WELL && result != BREAKER_NOTHING) {
                breaker->until_ms = larger(breaker->until_ms, now_ms + wish_ms);
        }
}

bool breaker_end(struct breaker *breaker, bool probe, enum breaker_result result,
                 int64_t retry_after_ms, int64_t now_ms)
{
        int64_t wish_ms = larger(0, smaller(retry_after_ms, BREAKER_RETRY_AFTER_MAX_MS));

        if (probe) {
                assert(breaker->open && breaker->probing);
                return end_probe(breaker, result, wish_ms, now_ms);
        }
        if (breaker->open) {
                end_open(breaker, result, wish_ms, now_ms);
                return false;
        }
        return end_closed(breaker, result, wish_ms, now_ms);
}
