/*
 * breaker: whether an upstream may be sent a job now, by how the last ones went.
 *
 *              failures in a row              the free probe is answered
 *      closed ───────────────────▶ open ──────────────────────────────▶ half-open
 *        ▲  ▲                       │ ▲   a job that fails                  │
 *        │  │      a free probe     └─┤                                     │
 *        │  │      that fails         └─────────────────────────────────────┤
 *        │  └───────────────────────────────────────────────────────────────┘
 *        │    a job that is answered
 *
 * While it is open, each time the pause is over the upstream is asked for the balance, which is
 * free: the free probe. Only when that shows that the upstream can be reached, half-open lets one
 * job through, the probe. The balance alone does not close the breaker: it may work while solves
 * fail. A free probe that does not tell whether jobs would be taken (see breaker_end_free_probe())
 * is repeated BREAKER_VAGUE_MAX times before a job is risked.
 *
 * A refused account (wrong key, no balance, plan over) opens it at once, for a longer pause; it is
 * then said to be out.
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
#define BREAKER_VAGUE_MAX          3     /* free probes in a row that do not tell, before a job */
#define BREAKER_AGAIN_MS           250 /* before a free probe that could not be sent is tried again */

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

/* Which probe is in progress. */
enum breaker_probing {
        BREAKER_NO_PROBE,
        BREAKER_FREE_PROBE, /* a balance request */
        BREAKER_JOB_PROBE,  /* a solve */
};

struct breaker {
        int64_t probe_ms;   /* pause before a probe: retry.probe */
        int64_t recheck_ms; /* the same while the account is out: retry.recheck */
        int failures;       /* in a row, while closed */
        bool open;
        bool out;                     /* open because the account is refused */
        bool half_open;               /* open, and one job may be sent */
        enum breaker_probing probing; /* valid while open */
        int vague;                    /* free probes in a row that did not tell; while open */
        int64_t pause_ms;             /* the one that began with the last job, while open */
        int64_t until_ms;             /* open: when the pause is over; closed and half-open: the
                                         upstream wants no job before (Retry-After) */
};

void breaker_init(struct breaker *breaker, int64_t probe_ms, int64_t recheck_ms);

/* Whether it is closed, and the upstream has not asked for a pause: any job may be sent. */
bool breaker_is_healthy(const struct breaker *breaker, int64_t now_ms);

/*
 * Tells whether a job may be sent now: any, or the probe. If not, *ret_again_ms is when it may be
 * worth asking again, or INT64_MAX where that depends on a probe.
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

/*
 * Tells whether a free probe is to be sent now. If not, *ret_again_ms is when one is to be, or
 * INT64_MAX.
 */
bool breaker_wants_free_probe(const struct breaker *breaker, int64_t now_ms, int64_t *ret_again_ms);

/* It is being sent. Requires breaker_wants_free_probe(). */
void breaker_begin_free_probe(struct breaker *breaker);

/*
 * It has ended, as a solve with that result would have. The breaker becomes half-open if the
 * upstream answered about the account, whatever it said. It stays open for one more pause if the
 * upstream was not reached, and if it does not tell whether jobs would be taken: "later", unclear,
 * or the refusal of an account that is out; but the BREAKER_VAGUE_MAX-th of these in a row lets a
 * job find out, and so does the first "later" if alone says that there is no other upstream to send
 * jobs to.
 */
void breaker_end_free_probe(struct breaker *breaker, enum breaker_result result, bool alone,
                            int64_t retry_after_ms, int64_t now_ms);

#endif
