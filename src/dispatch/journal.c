/*
 * journal: see journal.h.
 *
 * Records are given to the store under the scheduler's mutex, so that their order is that in which
 * a purchase and its jobs changed.
 */
#include "dispatch/journal.h"

#include "access/clients.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "config/config.h"
#include "dispatch/charges.h"
#include "dispatch/payment.h"
#include "dispatch/scheduler_private.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/waiter.h"
#include "upstream/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A step on its way to the store. */
struct step {
        struct journal about; /* with a reference to the purchase */
        enum store_charge charge;
        journal_then_fn *then; /* NULL: nobody waits */
        void *arg;
};

/* ---- records ---- */

/*
 * Fills a record with a purchase as it is going to be and with the rows of its jobs that are not
 * stored yet, which are then being kept. Returns 0 or -ENOMEM.
 */
static int fill_locked(struct scheduler *scheduler, struct store_record *record,
                       struct purchase *purchase, enum job_state state)
{
        struct job *job;
        size_t count = 0;

        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                count += job->kept != JOB_KEPT;
        if (count > 0) {
                record->jobs = calloc(count, sizeof *record->jobs);
                if (!record->jobs)
                        return -ENOMEM;
        }
        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (job->kept == JOB_KEPT)
                        continue;
                entry_set_kept_locked(scheduler, job, JOB_BEING_KEPT);
                record->jobs[record->job_count++] = job_ref(job);
        }
        record->move = STORE_PURCHASE_MOVE;
        record->purchase = purchase_ref(purchase);
        record->state = state;
        purchase->recorded = true;
        return 0;
}

/* Adds the body, and the line in which it waits. */
static void add_body_locked(struct store_record *record, const struct purchase *purchase,
                            struct body *body)
{
        record->body = body_ref(body);
        record->lines[0] = payment_line_locked(purchase);
}

/* The end of fill_locked(): the jobs are kept now, or not. */
static void note_kept_locked(struct scheduler *scheduler, const struct store_record *record,
                             bool kept)
{
        for (size_t i = 0; i < record->job_count; i++) {
                struct job *job = record->jobs[i];
                /* A record of its own may have come before this one. */
                if (job->kept == JOB_BEING_KEPT)
                        entry_set_kept_locked(scheduler, job, kept ? JOB_KEPT : JOB_KEEP_FAILED);
                waiters_wake_locked(&job->keep_waiters, WAITER_FINAL);
        }
}

/* ---- the audit ---- */

/*
 * What the audit says of a charge: once the purchase has ended, or when it is sent again though it
 * may have been charged. NULL: nothing.
 */
static char *describe_charge_locked(const struct journal *about, enum store_charge charge,
                                    const char *outcome)
{
        bool charged = charge == STORE_CHARGE_CHARGED ||
                       (charge == STORE_CHARGE_NONE && about->purchase->charged);

        if (!about->scheduler->setup.audit || (!charged && charge != STORE_CHARGE_UNKNOWN))
                return NULL;
        return payment_describe_locked(about->purchase, about->account->name, charged, outcome);
}

/* Without a store it goes straight to the file; with one, but without memory for a record, nowhere.
 */
static void audit_at_once_locked(struct scheduler *scheduler, char *text)
{
        if (text && !scheduler->setup.store)
                (void)audit_entry(scheduler->setup.audit, 0, text);
        free(text);
}

static const char *outcome_word(const struct outcome *outcome)
{
        return outcome->state == JOB_SOLVED ? "solved" : job_error_code(outcome->error);
}

/* ---- the steps as they are taken ---- */

static void settle_locked(const struct journal *about, enum store_charge charge)
{
        struct scheduler *scheduler = about->scheduler;

        if (charge != STORE_CHARGE_CHARGED && charge != STORE_CHARGE_UNKNOWN)
                return;
        const struct job *payer = payment_payer_locked(about->purchase);
        charges_add(scheduler->setup.charges, payer ? payer->client : CLIENT_LOCAL,
                    about->account->name, charge == STORE_CHARGE_CHARGED,
                    charge == STORE_CHARGE_UNKNOWN);
        payment_settle_locked(about->scheduler->setup.arbiter, about->purchase);
}

static void accept_locked(const struct journal *about)
{
        settle_locked(about, STORE_CHARGE_CHARGED);
        about->purchase->state = JOB_ACCEPTED;
        entry_move_locked(about->scheduler, about->purchase, JOB_ACCEPTED);
}

static void finish_locked(const struct journal *about, struct outcome *outcome,
                          enum store_charge charge)
{
        settle_locked(about, charge);
        entry_finish_locked(about->scheduler, about->purchase, outcome, clock_monotonic_ms());
}

/* ---- and as they are written ---- */

/* At the stop: the next start finds what was written before, so nothing else is shown now. */
static bool given_up(int error)
{
        return error < 0 && error != -EPROTO;
}

static void on_step_stored(struct store_record *record, int error, void *arg)
{
        struct step *step = arg;
        struct scheduler *scheduler = step->about.scheduler;
        struct purchase *purchase = step->about.purchase;

        (void)pthread_mutex_lock(&scheduler->mutex);
        note_kept_locked(scheduler, record, error == 0);
        if (error == 0 && record->body)
                purchase->body_stored = true;
        if (record->state == JOB_SENDING)
                purchase->sent_stored = error == 0;
        else if (given_up(error))
                entry_nudge_locked(scheduler, purchase);
        else if (record->state == JOB_ACCEPTED)
                accept_locked(&step->about);
        else
                finish_locked(&step->about, record->outcome, step->charge);
        scheduler->records--;
        scheduler_tell_idle_locked(scheduler);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (step->then)
                step->then(step->arg, error);
        purchase_unref(purchase);
        free(step);
}

/* Makes a record of a step, and what is called when it is written. Returns NULL without memory. */
static struct store_record *step_record_locked(const struct journal *about, enum job_state state,
                                               enum store_charge charge, journal_then_fn *then,
                                               void *arg)
{
        struct store_record *record = store_record_new();
        struct step *step = malloc(sizeof *step);

        if (!record || !step || fill_locked(about->scheduler, record, about->purchase, state) < 0) {
                store_record_free(record);
                free(step);
                return NULL;
        }
        *step = (struct step){*about, charge, then, arg};
        (void)purchase_ref(about->purchase);
        record->must = true;
        record->done = on_step_stored;
        record->arg = step;
        record->loop = about->loop;
        record->upstream = about->account->name;
        record->charge = charge;
        return record;
}

static void write_locked(const struct journal *about, struct store_record *record)
{
        about->scheduler->records += record->done != NULL;
        store_write(about->scheduler->setup.store, record);
}

int journal_sending(const struct journal *journal, journal_then_fn *then, void *arg)
{
        struct scheduler *scheduler = journal->scheduler;
        struct store_record *record;

        (void)pthread_mutex_lock(&scheduler->mutex);
        journal->purchase->sent_wall_ms = clock_wall_ms();
        journal->purchase->charge_day = journal->purchase->reserved_day;
        if (!scheduler->setup.store)
                journal->purchase->sent_stored = true; /* nobody withdraws it from now on */
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (!scheduler->setup.store) {
                then(arg, 0);
                return 0;
        }
        (void)pthread_mutex_lock(&scheduler->mutex);
        record = journal->purchase->jobs && journal->purchase->payer->attached
                         ? step_record_locked(journal, JOB_SENDING, STORE_CHARGE_OPEN, then, arg)
                         : NULL;
        if (record) {
                struct body *body = journal->purchase->body;
                record->must = false;
                /* A crash is to find what it takes to send it again. */
                if (scheduler->config->retry.on_unknown == ON_UNKNOWN_RETRY)
                        add_body_locked(record, journal->purchase, body);
                record->charge_wall_ms = journal->purchase->sent_wall_ms;
                record->charge_day = journal->purchase->charge_day;
                (void)snprintf(record->charge_job, sizeof record->charge_job, "%s",
                               payment_payer_locked(journal->purchase)->id);
                write_locked(journal, record);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return record ? 0 : -ENOMEM;
}

void journal_accepted(const struct journal *journal, const struct account_terms *terms,
                      const char *upstream_id)
{
        char place[ACCOUNT_PLACE_BYTES_MAX];
        struct scheduler *scheduler = journal->scheduler;
        struct store_record *record = NULL;

        (void)pthread_mutex_lock(&scheduler->mutex);
        journal->purchase->charged = true;
        if (scheduler->setup.store)
                record =
                        step_record_locked(journal, JOB_ACCEPTED, STORE_CHARGE_CHARGED, NULL, NULL);
        if (record) {
                (void)snprintf(record->upstream_id, sizeof record->upstream_id, "%s", upstream_id);
                account_place(terms->url, terms->api, place);
                record->asked_at = strdup(place); /* or NULL, which the next start takes on trust */
                write_locked(journal, record);
        } else {
                accept_locked(journal);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void journal_returned(const struct journal *journal, enum store_charge charge)
{
        struct scheduler *scheduler = journal->scheduler;
        struct purchase *purchase = journal->purchase;
        struct store_record *record = NULL;

        (void)pthread_mutex_lock(&scheduler->mutex);
        char *audit = describe_charge_locked(journal, charge, job_error_code(JOB_OUTCOME_UNKNOWN));
        if (scheduler->setup.store && purchase->sent_stored)
                record = store_record_new();
        else
                purchase->sent_stored = false;
        /* Without memory the store goes on to say that it may have been sent, which is safe. */
        if (record) {
                record->must = true;
                record->move = STORE_PURCHASE_MOVE;
                record->purchase = purchase_ref(purchase);
                record->state = JOB_QUEUED;
                record->upstream = journal->account->name;
                record->charge = charge;
                record->audit = audit;
                if (!purchase->body_stored)
                        add_body_locked(record, purchase, purchase->body);
                purchase->body_stored = true;
                purchase->sent_stored = false;
                write_locked(journal, record);
        } else {
                audit_at_once_locked(scheduler, audit);
        }
        settle_locked(journal, charge);
        purchase->state = JOB_QUEUED;
        entry_move_locked(scheduler, purchase, JOB_QUEUED);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void journal_final(const struct journal *journal, struct outcome *outcome, enum store_charge charge,
                   journal_then_fn *then, void *arg)
{
        struct scheduler *scheduler = journal->scheduler;
        struct store_record *record = NULL;

        (void)pthread_mutex_lock(&scheduler->mutex);
        if (outcome->state != JOB_SOLVED) /* an error answers for nobody who comes later */
                entry_unlist_locked(scheduler, journal->purchase);
        char *audit = describe_charge_locked(journal, charge, outcome_word(outcome));
        if (scheduler->setup.store)
                record = step_record_locked(journal, outcome->state, charge, then, arg);
        if (record) {
                record->outcome = outcome;
                record->audit = audit;
                write_locked(journal, record);
        } else {
                audit_at_once_locked(scheduler, audit);
                finish_locked(journal, outcome, charge);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        if (record)
                return;
        outcome_unref(outcome);
        then(arg, 0);
}

void journal_drop_body(const struct journal *journal)
{
        struct scheduler *scheduler = journal->scheduler;

        (void)pthread_mutex_lock(&scheduler->mutex);
        struct body *body = journal->purchase->body;
        journal->purchase->body = NULL;
        (void)pthread_mutex_unlock(&scheduler->mutex);
        body_unref(body);
}
