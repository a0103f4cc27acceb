/*
 * flight_follow: a flight whose job the upstream has queued. It is polled by a timer: first after
 * poll.first, then after poll.interval, then each time half as long again up to poll.cap.
 *
 * A poll may hang, since its connection is dead, or what is behind it. It may take half of the time
 * that is left to the job at most, and the next one is on a new connection and comes soon: so a
 * result that is there is fetched before the deadline.
 */
#include "forward/flight_private.h"

#include "base/loop.h"
#include "config/config.h"
#include "dispatch/job_log.h"
#include "upstream/account.h"
#include "upstream/exchange.h"

#include <stdio.h>
#include <string.h>

#define POLL_TIMEOUT_MAX_MS 10000
#define POLL_TIMEOUT_MIN_MS 1000 /* but not beyond the deadline */
#define POLL_SOON_MIN_MS    100  /* before the next one after one that had no clear answer */
#define LAST_POLL_MS        500  /* before the deadline, where the next poll would be after it */

static void flight_fail_deadline(struct flight *flight)
{
        flight_fail(flight, JOB_FAILED, JOB_DEADLINE, STORE_CHARGE_NONE,
                    "no result within limits.job_deadline; the upstream has the job and may have "
                    "charged it%s%s",
                    flight->trouble[0] ? "; the last poll: " : "", flight->trouble);
}

/* The pause before the next poll: poll.first, poll.interval, then half as long again each time. */
static int64_t next_delay_ms(const struct config *config, unsigned polls, int64_t last_ms)
{
        if (polls == 0)
                return config->poll.first_ms;
        if (polls == 1)
                return config->poll.interval_ms;
        int64_t delay_ms = last_ms + last_ms / 2;
        return delay_ms < config->poll.cap_ms ? delay_ms : config->poll.cap_ms;
}

static int64_t poll_timeout_ms(int64_t left_ms)
{
        int64_t timeout_ms = left_ms / 2;

        if (timeout_ms > POLL_TIMEOUT_MAX_MS)
                return POLL_TIMEOUT_MAX_MS;
        if (timeout_ms < POLL_TIMEOUT_MIN_MS)
                timeout_ms = left_ms < POLL_TIMEOUT_MIN_MS ? left_ms : POLL_TIMEOUT_MIN_MS;
        return flight_timeout_ms(timeout_ms);
}

static int64_t soon(int64_t left_ms)
{
        return left_ms / 4 > POLL_SOON_MIN_MS ? left_ms / 4 : POLL_SOON_MIN_MS;
}

/* Sets the timer for the next poll, or for the deadline if that comes first. */
static void schedule_poll(struct flight *flight, int64_t at_least_ms)
{
        int64_t left_ms = flight_time_left_ms(flight);

        flight->poll_delay_ms = next_delay_ms(config_get(flight->forwarder->setup.config),
                                              flight->polls++, flight->poll_delay_ms);
        int64_t delay_ms = flight->poll_delay_ms, soon_ms = soon(left_ms);
        if (flight->poll_broken && delay_ms > soon_ms)
                delay_ms = soon_ms;
        if (delay_ms < at_least_ms)
                delay_ms = at_least_ms;
        /* Whatever the upstream asks for, once more while there is time: asking is free. */
        if (delay_ms >= left_ms)
                delay_ms = left_ms > LAST_POLL_MS ? left_ms - LAST_POLL_MS : left_ms;
        loop_timer_start(flight->timer, delay_ms, 0);
}

static void on_status_answer(struct answer *answer, void *arg)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;

        flight->exchange = NULL;
        if (answer->stray)
                job_log_stray(flight->turn.account->name);
        if (answer->warn || (answer->about_account && !flight->account_told))
                flight_log_trouble(flight, flight->poll_terms, answer);
        flight->account_told = flight->account_told || answer->about_account;
        flight->trouble[0] = '\0';
        flight->poll_broken = answer->kind == ANSWER_NOT_SENT;
        switch (answer->kind) {
        case ANSWER_FINAL:
                flight_solve(flight, answer, STORE_CHARGE_NONE);
                break;
        case ANSWER_REJECTED:
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_REJECTED, STORE_CHARGE_NONE, "%s",
                            answer->message);
                break;
        case ANSWER_TRY_LATER:
        case ANSWER_NOT_SENT:
        case ANSWER_UNCLEAR:
                /* The job is taken and asking again is free. */
                (void)snprintf(flight->trouble, sizeof flight->trouble, "%s", answer->message);
                job_log_step("poll failed", flight->turn.payer->id, flight->turn.account->name,
                             answer->detail[0] ? answer->detail : answer->message);
                schedule_poll(flight, answer->retry_after_ms);
                break;
        case ANSWER_PENDING:
                schedule_poll(flight, answer->retry_after_ms);
                break;
        }
        answer_done(answer);
        forwarder->kick(forwarder);
}

/* A credential that is new since the last poll has its own trouble. */
static void renew_poll_terms(struct flight *flight)
{
        struct account_terms *before = flight->poll_terms;

        flight->poll_terms = scheduler_terms(flight->forwarder->setup.scheduler, &flight->turn);
        if (before && account_terms_compare(before, flight->poll_terms) & ACCOUNT_CREDENTIAL)
                flight->account_told = false;
        account_terms_unref(before);
}

static void on_poll_timer(void *arg)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;

        renew_poll_terms(flight); /* and its deadline, which a job that has joined may have moved */
        int64_t left_ms = flight_time_left_ms(flight);
        if (left_ms == 0) {
                flight_fail_deadline(flight);
                forwarder->kick(forwarder);
                return;
        }
        struct question question = {
                .account = flight->turn.account,
                .terms = flight->poll_terms,
                .sent = flight->turn.terms,
                .endpoint = UPSTREAM_STATUS,
                .upstream_id = flight->upstream_id,
                .timeout_ms = poll_timeout_ms(left_ms),
                .fresh = flight->poll_broken,
        };
        if (exchange_start(forwarder->transfers, &question, on_status_answer, flight,
                           &flight->exchange) < 0)
                schedule_poll(flight, 0);
}

void flight_follow(struct flight *flight, const struct answer *answer)
{
        struct journal journal = flight_journal(flight);

        if (loop_timer_new(flight->forwarder->setup.loop, on_poll_timer, flight, &flight->timer) <
            0) {
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, STORE_CHARGE_CHARGED,
                            "the upstream took the job, but there was no memory to follow it");
                return;
        }
        flight->phase = FLIGHT_FOLLOWING;
        memcpy(flight->upstream_id, answer->upstream_id, sizeof flight->upstream_id);
        job_log_step("accepted", flight->turn.payer->id, flight->turn.account->name, NULL);
        journal_accepted(&journal, flight->turn.terms, flight->upstream_id);
        journal_drop_body(&journal);
        schedule_poll(flight, answer->retry_after_ms);
}

int flight_follow_again(struct flight *flight, const char *upstream_id)
{
        int r = loop_timer_new(flight->forwarder->setup.loop, on_poll_timer, flight,
                               &flight->timer);

        if (r < 0)
                return r;
        flight->phase = FLIGHT_FOLLOWING;
        (void)snprintf(flight->upstream_id, sizeof flight->upstream_id, "%s", upstream_id);
        job_log_step("goes on", flight->turn.payer->id, flight->turn.account->name, NULL);
        loop_timer_start(flight->timer, 0, 0);
        return 0;
}
