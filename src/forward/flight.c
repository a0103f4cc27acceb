/*
 * flight: see flight.h. Each function that ends a flight frees it; its caller then only kicks the
 * forwarder.
 */
#include "forward/flight_private.h"

#include "access/clients.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "dispatch/budget.h"
#include "dispatch/entry.h"
#include "dispatch/job_log.h"
#include "forward/probe.h"
#include "job/body.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "store/store.h"
#include "upstream/account.h"
#include "upstream/exchange.h"
#include "upstream/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define LEAST_TIME_MAX_MS    5000
#define TIMEOUT_MAX_MS       INT32_MAX /* what every library takes */
#define STORE_RETRY_PAUSE_MS 250       /* before a job that could not be recorded is tried again */
#define MESSAGE_BYTES_MAX    1024

_Static_assert(UPSTREAM_ID_BYTES_MAX == STORE_UPSTREAM_ID_BYTES_MAX, "an id can be stored");

static const struct config *config_of(const struct flight *flight)
{
        return config_get(flight->forwarder->setup.config);
}

static struct scheduler *scheduler_of(const struct flight *flight)
{
        return flight->forwarder->setup.scheduler;
}

struct journal flight_journal(const struct flight *flight)
{
        return (struct journal){
                .scheduler = scheduler_of(flight),
                .loop = flight->forwarder->setup.loop,
                .purchase = flight->turn.purchase,
                .account = flight->turn.account,
        };
}

int64_t flight_time_left_ms(const struct flight *flight)
{
        int64_t left_ms = flight->turn.deadline_ms - clock_monotonic_ms();

        return left_ms > 0 ? left_ms : 0;
}

int64_t flight_timeout_ms(int64_t timeout_ms)
{
        if (timeout_ms < 1)
                return 1;
        return timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS;
}

static int64_t least_time_ms(const struct flight *flight)
{
        int64_t tenth_ms = flight->turn.time_ms / 10;

        return tenth_ms < LEAST_TIME_MAX_MS ? tenth_ms : LEAST_TIME_MAX_MS;
}

/* ---- the beginning and the end of a flight ---- */

static struct flight *flight_new(struct forwarder *forwarder, const struct scheduler_turn *turn)
{
        struct flight *flight = calloc(1, sizeof *flight);

        if (!flight)
                return NULL;
        flight->forwarder = forwarder;
        flight->turn = *turn;
        flight->started_ms = clock_monotonic_ms();
        DL_APPEND(forwarder->flights, flight);
        forwarder->in_flight++;
        return flight;
}

static void flight_free(struct flight *flight)
{
        DL_DELETE(flight->forwarder->flights, flight);
        flight->forwarder->in_flight -= flight->phase != FLIGHT_ENDING;
        loop_timer_free(flight->timer);
        account_terms_unref(flight->poll_terms);
        free(flight);
}

/* One line for each purchase that ends; what an operator may have to look into is a warning. */
static void log_end(const struct flight *flight, const char *outcome, const char *message)
{
        enum log_level level = message ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;

        if (!job_log_take(level, flight->turn.payer))
                return;
        job_log_end(level, &(struct job_end){
                                   .job = flight->turn.payer->id,
                                   .outcome = outcome,
                                   .client = flight->turn.payer->client,
                                   .site = flight->turn.purchase->host,
                                   .upstream = flight->turn.account->name,
                                   .detail = message,
                                   .duration_ms = clock_monotonic_ms() - flight->started_ms,
                           });
}

static void on_final_stored(void *arg, int error)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;
        struct purchase *purchase = flight->turn.purchase;

        (void)error; /* never, but when solvegate is being stopped and has told so */
        bool kick = flight->refused && forwarder->refused == FLIGHTS_REFUSED_MAX;
        forwarder->refused -= flight->refused;
        flight_free(flight);
        scheduler_land(forwarder->setup.scheduler, purchase);
        /* By a timer: without memory for a record this is called at once, within a kick. */
        if (kick)
                loop_timer_start(forwarder->again, 0, 0);
}

/* The upstream has finished with it: gives back the slot, and makes it final. */
static void flight_end(struct flight *flight, struct outcome *outcome, enum store_charge charge)
{
        struct journal journal = flight_journal(flight);

        flight->phase = FLIGHT_ENDING;
        flight->forwarder->in_flight--;
        loop_timer_free(flight->timer);
        flight->timer = NULL;
        scheduler_release(scheduler_of(flight), &flight->turn);
        journal_final(&journal, outcome, charge, on_final_stored, flight);
}

void flight_fail(struct flight *flight, enum job_state state, enum job_error error,
                 enum store_charge charge, const char *format, ...)
{
        char message[MESSAGE_BYTES_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        log_end(flight, job_error_code(error), message);
        flight_end(flight, outcome_failed(state, error, message), charge);
}

void flight_solve(struct flight *flight, struct answer *answer, enum store_charge charge)
{
        struct outcome *outcome = outcome_solved(answer->members, answer->members_len);

        answer->members = NULL;
        log_end(flight, answer->skipped ? "skipped" : "solved", NULL);
        flight_end(flight, outcome, charge);
}

/* Puts it back into the queue. charge is what became of the try that was stored, if one was. */
static void flight_return(struct flight *flight, enum store_charge charge, enum scheduler_try tried,
                          int64_t pause_ms)
{
        struct forwarder *forwarder = flight->forwarder;
        struct scheduler *scheduler = scheduler_of(flight);
        struct scheduler_turn turn = flight->turn;
        struct journal journal = flight_journal(flight);

        scheduler_release(scheduler, &turn);
        journal_returned(&journal, charge);
        flight_free(flight);
        if (!scheduler_requeue(scheduler, forwarder->setup.loop, &turn, tried, pause_ms))
                entry_cancel_waiting(scheduler, forwarder->setup.loop);
}

/* ---- asking the upstream to solve it ---- */

/* It may be sent again. */
static void flight_retry(struct flight *flight, enum store_charge charge, enum scheduler_try tried)
{
        const struct config *config = config_of(flight);

        flight_return(flight, charge, tried,
                      flight->turn.probe
                              ? 0
                              : budget_backoff_ms(config->retry.base_ms, config->retry.cap_ms,
                                                  flight->turn.attempts, 0));
}

/* A breaker's probe that is turned away does not count as a try; one that may cost money does. */
static bool tries_are_left(const struct flight *flight, enum scheduler_try tried)
{
        if (flight->turn.probe && tried == SCHEDULER_TURNED_AWAY)
                return true;
        return flight->turn.attempts + flight->turn.probe < config_of(flight)->retry.attempts;
}

/* It surely was not taken, and not charged. */
static void on_turned_away(struct flight *flight, const struct answer *answer)
{
        scheduler_set_trouble(scheduler_of(flight), flight->turn.purchase, answer->message);
        job_log_step("turned away", flight->turn.payer->id, flight->turn.account->name,
                     answer->message);
        if (flight_time_left_ms(flight) == 0)
                flight_fail(flight, JOB_FAILED, JOB_DEADLINE, STORE_CHARGE_NOT_CHARGED,
                            "limits.job_deadline passed before the upstream took the job; %s; the "
                            "last try: %s",
                            purchase_charge_note(flight->turn.purchase), answer->message);
        else if (tries_are_left(flight, SCHEDULER_TURNED_AWAY))
                flight_retry(flight, STORE_CHARGE_NOT_CHARGED, SCHEDULER_TURNED_AWAY);
        else
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_UNAVAILABLE, STORE_CHARGE_NOT_CHARGED,
                            "the upstream did not take the job, with retry.attempts = %d; %s: %s; "
                            "send it again later",
                            config_of(flight)->retry.attempts,
                            purchase_charge_note(flight->turn.purchase), answer->message);
}

/* There was no descriptor or memory for a connection: the upstream is not at fault, and the job was
 * not tried. */
static void on_unconnected(struct flight *flight, const struct answer *answer)
{
        struct forwarder *forwarder = flight->forwarder;

        scheduler_set_trouble(scheduler_of(flight), flight->turn.purchase, answer->message);
        job_log_step("not sent", flight->turn.payer->id, flight->turn.account->name,
                     answer->message);
        flight_return(flight, STORE_CHARGE_NOT_CHARGED, SCHEDULER_NOT_TRIED, SHORTAGE_PAUSE_MIN_MS);
        shortage_note(&forwarder->shortage, forwarder->in_flight, clock_monotonic_ms());
}

/* The account is refused, not the job, which goes to another account if there is one. */
static void on_account_refused(struct flight *flight, const struct answer *answer)
{
        if (scheduler_has_other(scheduler_of(flight), &flight->turn))
                flight_return(flight, STORE_CHARGE_NOT_CHARGED, SCHEDULER_REFUSED, 0);
        else
                flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_REJECTED, STORE_CHARGE_NOT_CHARGED,
                            "the upstream refuses solvegate's account, not yours: %s; tell the "
                            "operator of solvegate",
                            answer->message);
}

/* It may have been taken and charged. */
static void on_unclear(struct flight *flight, const struct answer *answer)
{
        if (config_of(flight)->retry.on_unknown == ON_UNKNOWN_RETRY &&
            tries_are_left(flight, SCHEDULER_IN_DOUBT) && flight_time_left_ms(flight) > 0 &&
            scheduler_reserve_again(scheduler_of(flight), flight->turn.purchase)) {
                scheduler_set_trouble(scheduler_of(flight), flight->turn.purchase, answer->message);
                flight_retry(flight, STORE_CHARGE_UNKNOWN, SCHEDULER_IN_DOUBT);
        } else {
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, STORE_CHARGE_UNKNOWN,
                            "the job may have reached the upstream and been charged, so it was "
                            "not sent again: %s",
                            answer->message);
        }
}

static void on_solve_answer(struct answer *answer, void *arg)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;

        flight->exchange = NULL;
        if (answer->stray)
                job_log_stray(flight->turn.account->name);
        if (!answer->local)
                shortage_note_connection(&forwarder->shortage);
        flight_check_id(flight, answer);
        flight_name_deadline(flight, answer);
        flight_log_trouble(flight, flight->turn.terms, answer);
        scheduler_note(scheduler_of(flight), &flight->turn, flight_result_of(flight, answer),
                       answer->retry_after_ms);
        switch (answer->kind) {
        case ANSWER_FINAL:
                flight_solve(flight, answer, STORE_CHARGE_CHARGED);
                break;
        case ANSWER_PENDING:
                flight_follow(flight, answer);
                break;
        case ANSWER_REJECTED:
                if (answer->about_account)
                        on_account_refused(flight, answer);
                else
                        flight_fail(flight, JOB_FAILED, JOB_UPSTREAM_REJECTED,
                                    STORE_CHARGE_NOT_CHARGED, "%s", answer->message);
                break;
        case ANSWER_NOT_SENT:
                if (answer->local) {
                        on_unconnected(flight, answer);
                        break;
                }
                __attribute__((fallthrough));
        case ANSWER_TRY_LATER:
                on_turned_away(flight, answer);
                break;
        case ANSWER_UNCLEAR:
                on_unclear(flight, answer);
                break;
        }
        answer_done(answer);
        forwarder->kick(forwarder);
}

/* ---- before that ---- */

/* It was not sent after all. */
static void flight_stay_unsent(struct flight *flight, int64_t pause_ms)
{
        scheduler_note(scheduler_of(flight), &flight->turn, BREAKER_NOTHING, 0);
        flight_return(flight, STORE_CHARGE_NOT_CHARGED, SCHEDULER_NOT_TRIED, pause_ms);
}

static void flight_refuse(struct flight *flight, enum job_error error, const char *why)
{
        scheduler_note(scheduler_of(flight), &flight->turn, BREAKER_NOTHING, 0);
        scheduler_unuse(scheduler_of(flight), &flight->turn);
        flight->refused = true;
        flight->forwarder->refused++;
        flight_fail(flight, JOB_FAILED, error, STORE_CHARGE_NOT_CHARGED,
                    "%s, so it was not sent; %s", why, purchase_charge_note(flight->turn.purchase));
}

/* It would be charged, and its result hardly come in time. */
static bool too_late(const struct flight *flight)
{
        int64_t left_ms = flight_time_left_ms(flight);

        return left_ms == 0 || left_ms < least_time_ms(flight);
}

/* Ends a flight that is not to send. One without a try left ends when it is back in the queue. */
static bool flight_refused(struct flight *flight)
{
        if (too_late(flight))
                flight_refuse(
                        flight, JOB_DEADLINE,
                        "too little of limits.job_deadline was left when the job's turn came");
        else if (!flight->turn.attempt_left)
                flight_stay_unsent(flight, 0);
        else
                return false;
        return true;
}

static void flight_ask(struct flight *flight)
{
        struct forwarder *forwarder = flight->forwarder;
        const struct body *body = flight->turn.purchase->body;
        struct question question = {
                .account = flight->turn.account,
                .terms = flight->turn.terms,
                .endpoint = UPSTREAM_SOLVE,
                .body = body->data,
                .body_len = body->len,
                .fresh = flight->turn.probe,
        };

        flight->timeout_ms = flight_timeout_ms(flight_time_left_ms(flight));
        question.timeout_ms = flight->timeout_ms;
        flight->phase = FLIGHT_ASKING;
        if (exchange_start(forwarder->transfers, &question, on_solve_answer, flight,
                           &flight->exchange) == 0)
                return;
        flight_stay_unsent(flight, SHORTAGE_PAUSE_MIN_MS);
        shortage_note(&forwarder->shortage, forwarder->in_flight, clock_monotonic_ms());
}

static void on_sending_stored(void *arg, int error)
{
        struct flight *flight = arg;
        struct forwarder *forwarder = flight->forwarder;

        if (error < 0 || !scheduler_wants(scheduler_of(flight), &flight->turn))
                flight_stay_unsent(flight, error < 0 ? STORE_RETRY_PAUSE_MS : 0);
        else if (!flight_refused(flight)) /* storing may have taken long */
                flight_ask(flight);
        /* Without a store the caller kicks, who is in the middle of it. */
        if (forwarder->setup.store)
                forwarder->kick(forwarder);
}

static void flight_record(struct flight *flight)
{
        struct journal journal = flight_journal(flight);

        flight->phase = FLIGHT_RECORDING;
        if (journal_sending(&journal, on_sending_stored, flight) < 0)
                flight_stay_unsent(flight, STORE_RETRY_PAUSE_MS);
}

static void on_body_fetched(struct store_fetch *fetch, int error, struct body *body)
{
        struct flight *flight = (struct flight *)((char *)fetch - offsetof(struct flight, fetch));
        struct forwarder *forwarder = flight->forwarder;

        if (error == 0)
                scheduler_set_body(scheduler_of(flight), flight->turn.purchase, body);
        if (error == -ENOENT || error == -EBADMSG)
                flight_refuse(flight, JOB_UPSTREAM_UNAVAILABLE,
                              "the job's body cannot be read from the store any more");
        else if (error < 0 || !scheduler_wants(scheduler_of(flight), &flight->turn))
                flight_stay_unsent(flight, STORE_RETRY_PAUSE_MS);
        else
                flight_record(flight);
        forwarder->kick(forwarder);
}

/* Without memory for a flight: it is turned away as if nothing had happened. */
static void give_back(struct forwarder *forwarder, struct scheduler_turn *turn)
{
        struct scheduler *scheduler = forwarder->setup.scheduler;
        struct journal journal = {scheduler, forwarder->setup.loop, turn->purchase, turn->account};

        scheduler_note(scheduler, turn, BREAKER_NOTHING, 0);
        scheduler_release(scheduler, turn);
        journal_returned(&journal, STORE_CHARGE_NOT_CHARGED);
        if (!scheduler_requeue(scheduler, forwarder->setup.loop, turn, SCHEDULER_NOT_TRIED,
                               STORE_RETRY_PAUSE_MS))
                entry_cancel_waiting(scheduler, forwarder->setup.loop);
}

bool flight_start(struct forwarder *forwarder, struct scheduler_turn *turn)
{
        struct flight *flight = flight_new(forwarder, turn);

        if (!flight) {
                give_back(forwarder, turn);
        } else if (flight_refused(flight)) {
                return false;
        } else if (!turn->purchase->body) {
                flight->phase = FLIGHT_FETCHING;
                flight->fetch = (struct store_fetch){
                        .number = turn->purchase->number,
                        .purchase = turn->purchase,
                        .line = flight->turn.payer && flight->turn.payer->flow
                                        ? &client_of(flight->turn.payer->flow)->records
                                        : NULL,
                        .pool = forwarder->setup.bodies,
                        .loop = forwarder->setup.loop,
                        .done = on_body_fetched,
                };
                store_fetch_body(forwarder->setup.store, &flight->fetch);
        } else {
                flight_record(flight);
        }
        return true;
}

void flight_resume(struct forwarder *forwarder, const struct scheduler_turn *turn)
{
        struct flight *flight = flight_new(forwarder, turn);

        int r = flight ? scheduler_claim_id(forwarder->setup.scheduler, turn,
                                            turn->purchase->upstream_id)
                       : -ENOMEM;
        if (r == -EEXIST) {
                log_error("two jobs of upstream %s that have different tasks were accepted under "
                          "one id; only the first of them is asked for",
                          turn->account->name);
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, STORE_CHARGE_NONE,
                            "the upstream gave the job the id of another one, so its result "
                            "cannot be asked for; it was charged");
                return;
        }
        if (r == 0 && flight_follow_again(flight, turn->purchase->upstream_id) == 0)
                return;
        /* What was paid for waits for a start with more memory. */
        log_error("no memory to follow an accepted job; it is left for the next start");
        if (flight)
                flight_free(flight);
        scheduler_release(forwarder->setup.scheduler, turn);
        scheduler_land(forwarder->setup.scheduler, turn->purchase);
}

/* ---- the stop ---- */

/* The upstream has it: it is asked again after the next start, where there is a store. */
static void leave_accepted(struct flight *flight)
{
        struct scheduler *scheduler = scheduler_of(flight);
        struct scheduler_turn turn = flight->turn;
        struct store *store = flight->forwarder->setup.store;

        if (!store || store_loss(store) == STORE_LOSES_ROWS) {
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, STORE_CHARGE_NONE,
                            "solvegate was stopped before the upstream's result came; the job may "
                            "have been charged");
                return;
        }
        scheduler_release(scheduler, &turn);
        flight_free(flight);
        scheduler_land(scheduler, turn.purchase);
}

static void flight_abort(struct flight *flight)
{
        switch (flight->phase) {
        case FLIGHT_FETCHING:
        case FLIGHT_RECORDING:
        case FLIGHT_ENDING:
                return; /* the store answers soon */
        case FLIGHT_FOLLOWING:
                (void)exchange_cancel(flight->exchange);
                leave_accepted(flight);
                return;
        case FLIGHT_ASKING:
                break;
        }
        if (exchange_cancel(flight->exchange))
                flight_fail(flight, JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, STORE_CHARGE_UNKNOWN,
                            "solvegate was stopped before the upstream's answer came; the job may "
                            "have been charged");
        else
                flight_return(flight, STORE_CHARGE_NOT_CHARGED, SCHEDULER_NOT_TRIED, 0);
}

void flight_abort_all(struct forwarder *forwarder)
{
        struct flight *flight, *next;

        DL_FOREACH_SAFE (forwarder->flights, flight, next)
                flight_abort(flight);
}
