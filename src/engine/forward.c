/*
 * forward: see forward.h.
 */
#include "engine/forward.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "engine/scheduler.h"
#include "job/body.h"
#include "job/job.h"
#include "job/results.h"
#include "upstream/account.h"
#include "upstream/exchange.h"
#include "upstream/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define POLL_TIMEOUT_MS   10000
#define LEAST_TIME_MAX_MS 5000
#define MESSAGE_BYTES_MAX 1024

struct forwarder {
        const struct config *config;
        struct loop *loop;
        struct results *results;
        struct scheduler *scheduler;
        struct transfers *transfers;
        struct flight *flights;
};

struct flight {
        struct forwarder *forwarder;
        struct job *job;           /* a reference */
        struct account *account;   /* one slot of it */
        struct exchange *exchange; /* NULL while the timer runs */
        struct loop_timer *timer;  /* made on acceptance */
        unsigned polls;            /* asked for so far */
        int64_t poll_delay_ms;     /* before the last of them */
        bool account_told;         /* its trouble was logged: once for each job */
        char upstream_id[UPSTREAM_ID_BYTES_MAX + 1];
        char trouble[UPSTREAM_MESSAGE_BYTES_MAX + 1]; /* of the last poll, "" if it was well */
        struct flight *prev, *next;
};

int forwarder_new(const struct config *config, struct loop *loop, struct results *results,
                  struct scheduler *scheduler, struct forwarder **ret_forwarder)
{
        struct forwarder *forwarder = calloc(1, sizeof *forwarder);

        if (!forwarder)
                return -ENOMEM;
        forwarder->config = config;
        forwarder->loop = loop;
        forwarder->results = results;
        forwarder->scheduler = scheduler;
        int r = transfers_new(loop, &forwarder->transfers);
        if (r < 0) {
                free(forwarder);
                return r;
        }
        *ret_forwarder = forwarder;
        return 0;
}

void forwarder_free(struct forwarder *forwarder)
{
        if (!forwarder)
                return;
        assert(!forwarder->flights);
        transfers_free(forwarder->transfers);
        free(forwarder);
}

struct transfers *forwarder_transfers(struct forwarder *forwarder)
{
        return forwarder->transfers;
}

static int64_t time_left_ms(const struct flight *flight)
{
        int64_t left_ms = flight->job->deadline_ms - clock_monotonic_ms();

        return left_ms > 0 ? left_ms : 0;
}

/* With less time left a job is not sent: it would be charged, and its result hardly come in time.
 */
static int64_t least_time_ms(const struct config *config)
{
        int64_t tenth_ms = config->limits.job_deadline_ms / 10;

        return tenth_ms < LEAST_TIME_MAX_MS ? tenth_ms : LEAST_TIME_MAX_MS;
}

/* One line for each job that was sent; what an operator may have to look into is a warning. */
static void log_end(const struct flight *flight, const char *outcome, const char *message)
{
        const struct job *job = flight->job;

        log_line(message ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                 "job %s %s site=%s upstream=%s ms=%lld%s%s", job->id, outcome, job->host,
                 flight->account->config->name, (long long)(clock_monotonic_ms() - job->created_ms),
                 message ? ": " : "", message ? message : "");
}

/* Makes the job final, gives back the slot, and frees the flight. */
static void flight_end(struct flight *flight, enum job_state state, struct job_outcome *outcome)
{
        struct forwarder *forwarder = flight->forwarder;

        job_drop_body(flight->job);
        results_move(forwarder->results, flight->job, state, outcome);
        scheduler_release(forwarder->scheduler, flight->account);
        DL_DELETE(forwarder->flights, flight);
        loop_timer_free(flight->timer);
        job_unref(flight->job);
        free(flight);
}

static void flight_fail(struct flight *flight, enum job_state state, enum job_error error,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

static void flight_fail(struct flight *flight, enum job_state state, enum job_error error,
                        const char *format, ...)
{
        char message[MESSAGE_BYTES_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        struct job_outcome outcome = {.error = error, .message = strdup(message)};
        log_end(flight, job_error_code(error), message);
        flight_end(flight, state, &outcome);
}

static void flight_solve(struct flight *flight, struct answer *answer)
{
        struct job_outcome outcome = {.members = answer->members,
                                      .members_len = answer->members_len};

        answer->members = NULL;
        log_end(flight, answer->skipped ? "skipped" : "solved", NULL);
        flight_end(flight, JOB_SOLVED, &outcome);
}

static void flight_fail_deadline(struct flight *flight)
{
        flight_fail(flight, JOB_FAILED, JOB_DEADLINE,
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

/* Sets the timer for the next poll, or for the deadline if that comes first. */
static void schedule_poll(struct flight *flight, int64_t at_least_ms)
{
        int64_t left_ms = time_left_ms(flight);

        flight->poll_delay_ms =
                next_delay_ms(flight->forwarder->config, flight->polls++, flight->poll_delay_ms);
        int64_t delay_ms = flight->poll_delay_ms;
        if (delay_ms < at_least_ms)
                delay_ms = at_least_ms;
        loop_timer_start(flight->timer, delay_ms < left_ms ? delay_ms : left_ms, 0);
}

/* What the operator should know, and the client need not. */
static void log_trouble(const struct flight *flight, const struct answer *answer)
{
        const struct config_upstream *config = flight->account->config;

        if (answer->detail[0])
                log_warning("upstream %s: %s", config->name, answer->detail);
        if (answer->about_account)
                log_error("upstream %s refuses the account of credential %s: %s", config->name,
                          config->credential, answer->message);
}

static void on_status_answer(struct answer *answer, void *arg)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;

        flight->exchange = NULL;
        if (answer->about_account && !flight->account_told)
                log_trouble(flight, answer);
        flight->account_told = flight->account_told || answer->about_account;
        flight->trouble[0] = '\0';
        switch (answer->kind) {
        case ANSWER_FINAL:
                flight_solve(flight, answer);
                break;
        case ANSWER_REJECTED:
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_REJECTED, "%s", answer->message);
                break;
        case ANSWER_TRY_LATER:
        case ANSWER_NOT_SENT:
        case ANSWER_UNCLEAR:
                /* The job is taken and asking again is free. */
                (void)snprintf(flight->trouble, sizeof flight->trouble, "%s", answer->message);
                log_debug("job %s poll: %s %s", flight->job->id, answer->message, answer->detail);
                schedule_poll(flight, answer->retry_after_ms);
                break;
        case ANSWER_PENDING:
                schedule_poll(flight, answer->retry_after_ms);
                break;
        }
        answer_done(answer);
        forwarder_kick(forwarder);
}

static void on_poll_timer(void *arg)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;
        int64_t left_ms = time_left_ms(flight);

        if (left_ms == 0) {
                flight_fail_deadline(flight);
                forwarder_kick(forwarder);
                return;
        }
        struct question question = {
                .account = flight->account,
                .endpoint = UPSTREAM_STATUS,
                .upstream_id = flight->upstream_id,
                .timeout_ms = left_ms < POLL_TIMEOUT_MS ? left_ms : POLL_TIMEOUT_MS,
        };
        if (exchange_start(forwarder->transfers, &question, on_status_answer, flight,
                           &flight->exchange) < 0)
                schedule_poll(flight, 0);
}

static void flight_accept(struct flight *flight, const struct answer *answer)
{
        struct forwarder *forwarder = flight->forwarder;

        if (loop_timer_new(forwarder->loop, on_poll_timer, flight, &flight->timer) < 0) {
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                            "the upstream took the job, but there was no memory to follow it");
                return;
        }
        memcpy(flight->upstream_id, answer->upstream_id, sizeof flight->upstream_id);
        log_debug("job %s accepted by %s", flight->job->id, flight->account->config->name);
        job_drop_body(flight->job);
        results_move(forwarder->results, flight->job, JOB_ACCEPTED, NULL);
        schedule_poll(flight, answer->retry_after_ms);
}

static void on_solve_answer(struct answer *answer, void *arg)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;

        flight->exchange = NULL;
        log_trouble(flight, answer);
        switch (answer->kind) {
        case ANSWER_FINAL:
                flight_solve(flight, answer);
                break;
        case ANSWER_PENDING:
                flight_accept(flight, answer);
                break;
        case ANSWER_REJECTED:
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_REJECTED, "%s", answer->message);
                break;
        case ANSWER_TRY_LATER:
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE,
                            "the upstream did not take the job now: %s; send it again later",
                            answer->message);
                break;
        case ANSWER_NOT_SENT:
                if (time_left_ms(flight) == 0)
                        flight_fail(flight, JOB_FAILED, JOB_DEADLINE,
                                    "limits.job_deadline passed before the upstream was reached; "
                                    "the job was not sent and not charged");
                else
                        flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE,
                                    "the upstream was not reached, nothing was charged: %s; send "
                                    "the job again later",
                                    answer->message);
                break;
        case ANSWER_UNCLEAR:
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                            "the job may have reached the upstream and been charged, so it was "
                            "not sent again: %s",
                            answer->message);
                break;
        }
        answer_done(answer);
        forwarder_kick(forwarder);
}

/* A job whose time ran out just before its turn, or for which there is no memory. */
static void refuse(struct forwarder *forwarder, struct job *job, struct account *account,
                   enum job_error error, const char *message)
{
        struct job_outcome outcome = {.error = error, .message = strdup(message)};

        log_info("job %s failed site=%s: %s", job->id, job->host, message);
        job_drop_body(job);
        results_move(forwarder->results, job, JOB_FAILED, &outcome);
        scheduler_release(forwarder->scheduler, account);
        job_unref(job);
}

/* Takes over the reference to the job and the slot of the account. */
static void flight_start(struct forwarder *forwarder, struct job *job, struct account *account)
{
        struct flight *flight = calloc(1, sizeof *flight);

        if (!flight) {
                refuse(forwarder, job, account, JOB_UPSTREAM_UNAVAILABLE,
                       "no memory to send the job; it was not sent and not charged");
                return;
        }
        flight->forwarder = forwarder;
        flight->job = job;
        flight->account = account;
        int64_t left_ms = time_left_ms(flight);
        if (left_ms < least_time_ms(forwarder->config)) {
                free(flight);
                refuse(forwarder, job, account, JOB_DEADLINE,
                       "too little of limits.job_deadline was left when the job's turn came; it "
                       "was "
                       "not sent and not charged");
                return;
        }
        DL_APPEND(forwarder->flights, flight);
        results_move(forwarder->results, job, JOB_SENDING, NULL);
        struct question question = {
                .account = account,
                .endpoint = UPSTREAM_SOLVE,
                .body = job->body->data,
                .body_len = job->body->len,
                .timeout_ms = left_ms,
        };
        if (exchange_start(forwarder->transfers, &question, on_solve_answer, flight,
                           &flight->exchange) < 0)
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE,
                            "no memory to send the job; it was not sent and not charged");
}

void forwarder_kick(struct forwarder *forwarder)
{
        struct account *account;
        struct job *job;

        while ((job = scheduler_take(forwarder->scheduler, &account)))
                flight_start(forwarder, job, account);
}

void forwarder_abort(struct forwarder *forwarder)
{
        struct flight *flight, *next;

        DL_FOREACH_SAFE (forwarder->flights, flight, next) {
                bool sent = exchange_cancel(flight->exchange);
                if (sent || flight->timer)
                        flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN,
                                    "solvegate was stopped before the upstream's result came; the "
                                    "job may have been charged");
                else
                        flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE,
                                    "solvegate was stopped before it reached the upstream; the job "
                                    "was not charged; send it again");
        }
}
