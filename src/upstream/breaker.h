/*
 * breaker: whether an upstream may be sent a job now, by how the last ones went.
 *
 *              failures in a row                      the pause is over
 *      closed ───────────────────▶ open ──────────────────────────────▶ half-open
 *        ▲  ▲                        ▲   a probe that fails                 │
 *        │  └────────────────────────┼──────────────────────────────────────┤
 *        │    a probe that succeeds  └──────────────────────────────────────┘
 *
 * Half-open lets one job through, the probe. A refused account (wrong key, no balance, plan over)
 * opens it at once, for a longer pause; it is then said to be out.
 *
 * Not locked: the scheduler's mutex guards it. Times are monotonic, in milliseconds.
 */
#ifndef SOLVEGATE_UPSTREAM_BREAKER_H
#define SOLVEGATE_UPSTREAM_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES                                                                           \
        3 /* in a row open it: fewer than retry.attempts, so that an outage gives up no job */
#define BREAKER_RETRY_AFTER_MAX_MS 60000 /* an upstream's wish is followed up to this */

/* How a solve went, as far as the upstream's health goes. */
enum breaker_result {
        BREAKER_WELL,        /* it answered about the job, whatever it said */
        BREAKER_LATER,       /* it said "not now", and has not taken the job */
        BREAKER_UNREACHABLE, /* no byte of the job went out */
        BREAKER_UNCLEAR,     /* it may have taken the job: each probe may cost a charge, so the
                                pause doubles from probe to probe, up to recheck_ms */
        BREAKER_REFUSED,     /* it refuses the account */
        BREAKER_NOTHING,     /* it was not asked after all */
};

struct breaker {
        int64_t probe_ms;   /* pause before a probe: retry.probe */
        int64_t recheck_ms; /* the same while the account is out: retry.recheck */
        int failures;       /* in a row, while closed */
        bool open;
        bool out;         /* open because the account is refused */
        bool probing;     /* the probe is under way */
        int64_t pause_ms; /* of the pause that runs, while open */
        int64_t until_ms; /* open: when the pause is over; closed: the upstream wants no job
                             before (Retry-After) */
};

void breaker_init(struct breaker *breaker, int64_t probe_ms, int64_t recheck_ms);

/*
 * Tells whether a job may be sent now. If not, *ret_again_ms is when it may be worth asking again,
 * or INT64_MAX where that depends on the probe that is under way.
 */
bool breaker_allows(const struct breaker *breaker, int64_t now_ms, int64_t *ret_again_ms);

/* A job is being sent. Requires breaker_allows(). Returns whether it is the probe. */
bool breaker_begin(struct breaker *breaker);

/*
 * A job was sent, or not after all. probe is what breaker_begin() said: while it is open, others
 * neither close it nor count. retry_after_ms is what the upstream asks for, or 0. Returns whether
 * the breaker opened or closed.
 */
bool breaker_end(struct breaker *breaker, bool probe, enum breaker_result result,
                 int64_t retry_after_ms, int64_t now_ms);

#endif
