/*
 * flight_private: what flight.c, flight_answer.c and flight_follow.c share; nobody else includes
 * it.
 */
#ifndef SOLVEGATE_FORWARD_FLIGHT_PRIVATE_H
#define SOLVEGATE_FORWARD_FLIGHT_PRIVATE_H

#include "dispatch/journal.h"
#include "dispatch/scheduler.h"
#include "forward/flight.h"
#include "forward/forwarder.h"
#include "job/job.h"
#include "store/store.h"
#include "upstream/breaker.h"
#include "upstream/protocol.h"

#include <stdbool.h>
#include <stdint.h>

struct account_terms;
struct exchange;
struct loop_timer;

enum flight_phase {
        FLIGHT_FETCHING,
        FLIGHT_RECORDING,
        FLIGHT_ASKING,
        FLIGHT_FOLLOWING,
        FLIGHT_ENDING,
};

struct flight {
        struct forwarder *forwarder;
        struct scheduler_turn turn; /* a reference to the purchase, and a slot until ENDING */
        enum flight_phase phase;
        struct store_fetch fetch;  /* FETCHING */
        struct exchange *exchange; /* ASKING; FOLLOWING while the timer does not run */
        struct loop_timer *timer;  /* FOLLOWING: the next poll */
        unsigned polls;            /* asked for so far */
        int64_t poll_delay_ms;     /* before the last of them */
        bool poll_broken;          /* the last one had no answer: the next is on a new connection */
        struct account_terms *poll_terms; /* by which it was last polled: a reference; or NULL */
        bool account_told; /* the trouble of their account was logged: once for each credential */
        int64_t started_ms;
        int64_t timeout_ms; /* ASKING: what was left of limits.job_deadline when it was sent */
        bool refused;       /* it had too little time, or its body cannot be read; counted by the
                               forwarder until its end is stored */
        char upstream_id[UPSTREAM_ID_BYTES_MAX + 1];
        char trouble[UPSTREAM_MESSAGE_BYTES_MAX + 1]; /* of the last poll, "" if it was well */
        struct flight *prev, *next;
};

/* ---- flight.c ---- */

struct journal flight_journal(const struct flight *flight);

/* Until the last of its jobs is too late, as the turn has it; 0 when it is. */
int64_t flight_time_left_ms(const struct flight *flight);

/* The same as the time-out of a request, within the bounds of one: whatever the clock and the store
 * say, it is above 0. */
int64_t flight_timeout_ms(int64_t timeout_ms);

/* Both end the flight; charge is NONE where it was settled before. */
void flight_solve(struct flight *flight, struct answer *answer, enum store_charge charge);
void flight_fail(struct flight *flight, enum job_state state, enum job_error error,
                 enum store_charge charge, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* ---- flight_answer.c ---- */

/* What the operator should know of an answer to what was asked by these terms, and the client need
 * not. */
void flight_log_trouble(const struct flight *flight, const struct account_terms *terms,
                        const struct answer *answer);

/*
 * Judges the id that the upstream gives the job. If another job that is not final has it, the
 * answer may be that one's, so it is unknown what became of this one.
 */
void flight_check_id(const struct flight *flight, struct answer *answer);

/* Makes the texts of an answer that did not come in time name limits.job_deadline: what was left of
 * it is the timeout of the request. */
void flight_name_deadline(const struct flight *flight, struct answer *answer);

/*
 * Returns what the answer says about the upstream's health. A request that timed out with little
 * time says nothing: the upstream may be well and only slow. But a job that was a breaker's probe
 * may have been charged, so it counts as a failure, after which the breaker pauses.
 */
enum breaker_result flight_result_of(const struct flight *flight, const struct answer *answer);

/* ---- flight_follow.c ---- */

/* The upstream has it queued: polls it until it is final. */
void flight_follow(struct flight *flight, const struct answer *answer);

/* The same after a start. Returns 0 or -ENOMEM. */
int flight_follow_again(struct flight *flight, const char *upstream_id);

#endif
