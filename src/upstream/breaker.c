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

bool breaker_is_healthy(const struct breaker *breaker, int64_t now_ms)
{
        return !breaker->open && breaker->until_ms <= now_ms;
}

bool breaker_allows(const struct breaker *breaker, int64_t now_ms, int64_t *ret_again_ms)
{
        if (breaker->open && !breaker->half_open) {
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
        if (!breaker->open)
                return false;
        assert(breaker->half_open && breaker->probing == BREAKER_NO_PROBE);
        breaker->half_open = false;
        breaker->probing = BREAKER_JOB_PROBE;
        return true;
}

/* Opens, or stays open for one more pause. An earlier wish for a longer one holds. */
static void open_for(struct breaker *breaker, int64_t pause_ms, int64_t wish_ms, int64_t now_ms)
{
        breaker->open = true;
        breaker->half_open = false;
        breaker->failures = 0;
        breaker->vague = 0;
        breaker->pause_ms = pause_ms;
        breaker->until_ms = larger(breaker->until_ms, now_ms + larger(pause_ms, wish_ms));
}

static void close_again(struct breaker *breaker)
{
        breaker->open = false;
        breaker->out = false;
        breaker->half_open = false;
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
        breaker->probing = BREAKER_NO_PROBE;
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
        case BREAKER_NOTHING: /* the next job is the probe */
                breaker->half_open = true;
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

static int64_t wish_of(int64_t retry_after_ms)
{
        return larger(0, smaller(retry_after_ms, BREAKER_RETRY_AFTER_MAX_MS));
}

bool breaker_end(struct breaker *breaker, bool probe, enum breaker_result result,
                 int64_t retry_after_ms, int64_t now_ms)
{
        int64_t wish_ms = wish_of(retry_after_ms);

        if (probe) {
                assert(breaker->open && breaker->probing == BREAKER_JOB_PROBE);
                return end_probe(breaker, result, wish_ms, now_ms);
        }
        if (breaker->open) {
                end_open(breaker, result, wish_ms, now_ms);
                return false;
        }
        return end_closed(breaker, result, wish_ms, now_ms);
}

/* ---- the free probe ---- */

bool breaker_wants_free_probe(const struct breaker *breaker, int64_t now_ms, int64_t *ret_again_ms)
{
        *ret_again_ms = INT64_MAX;
        if (!breaker->open || breaker->half_open || breaker->probing != BREAKER_NO_PROBE)
                return false;
        if (breaker->until_ms <= now_ms)
                return true;
        *ret_again_ms = breaker->until_ms;
        return false;
}

void breaker_begin_free_probe(struct breaker *breaker)
{
        assert(breaker->open && breaker->probing == BREAKER_NO_PROBE);
        breaker->probing = BREAKER_FREE_PROBE;
}

/* Whether the answer shows that a job would get an answer too. */
static bool tells_enough(struct breaker *breaker, enum breaker_result result, bool alone)
{
        switch (result) {
        case BREAKER_WELL:
                return true;
        case BREAKER_REFUSED:
                if (!breaker->out)
                        return true; /* solves have said nothing of it: one of them decides */
                break;
        case BREAKER_LATER:
                if (alone)
                        return true;
                break;
        case BREAKER_UNCLEAR:
                break;
        case BREAKER_UNREACHABLE:
        case BREAKER_NOTHING:
                return false;
        }
        return ++breaker->vague >= BREAKER_VAGUE_MAX;
}

void breaker_end_free_probe(struct breaker *breaker, enum breaker_result result, bool alone,
                            int64_t retry_after_ms, int64_t now_ms)
{
        int64_t pause_ms = breaker->out ? breaker->recheck_ms : breaker->probe_ms;
        int64_t wish_ms = wish_of(retry_after_ms);

        assert(breaker->open && breaker->probing == BREAKER_FREE_PROBE);
        breaker->probing = BREAKER_NO_PROBE;
        breaker->half_open = tells_enough(breaker, result, alone);
        if (breaker->half_open)
                pause_ms = 0;
        else if (result == BREAKER_NOTHING)
                pause_ms = BREAKER_AGAIN_MS;
        breaker->until_ms = larger(breaker->until_ms, now_ms + larger(pause_ms, wish_ms));
}
