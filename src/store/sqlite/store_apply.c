/*
 * store_apply: what a record does to the tables of jobs.db. Each step may be run again after a
 * roll-back, and finds what an earlier record has done already.
 *
 * What sqlite3_bind_*() returns is not looked at: nothing is copied, so it can only be that a
 * value is too long, which leaves NULL, and the tables refuse that where it matters.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
        (void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *statement, int at, const void *bytes, size_t len)
{
        /* An empty blob is not NULL. */
        (void)sqlite3_bind_blob64(statement, at, bytes ? bytes : "", len, SQLITE_STATIC);
}

/* Binds error, text and when from at on. */
static void bind_outcome(sqlite3_stmt *statement, int at, const struct outcome *outcome)
{
        (void)sqlite3_bind_int(statement, at, outcome ? (int)outcome->error : JOB_ERROR_NONE);
        if (outcome && outcome->text)
                (void)sqlite3_bind_text64(statement, at + 1, outcome->text, outcome->len,
                                          SQLITE_STATIC, SQLITE_UTF8);
        (void)sqlite3_bind_int64(statement, at + 2, clock_wall_ms());
}

static int apply_move(struct sqlite_store *store, const struct store_record *record)
{
        const struct purchase *purchase = record->purchase;
        enum store_sql which = record->move == STORE_PURCHASE_ADD ? STORE_SQL_PURCHASE_ADD
                                                                  : STORE_SQL_PURCHASE_MOVE;
        sqlite3_stmt *statement = store->sql[which];

        if (record->move == STORE_PURCHASE_NONE)
                return 0;
        (void)sqlite3_bind_int64(statement, 1, purchase->number);
        bind_blob(statement, 2, purchase->identity.bytes, sizeof purchase->identity.bytes);
        bind_text(statement, 3, purchase->host);
        (void)sqlite3_bind_int64(statement, 4, purchase->created_wall_ms);
        (void)sqlite3_bind_int(statement, 5, (int)record->state);
        bind_text(statement, 6, record->upstream);
        bind_text(statement, 7, record->upstream_id[0] != '\0' ? record->upstream_id : NULL);
        if (job_state_final(record->state))
                bind_outcome(statement, 8, record->outcome);
        bind_text(statement, 11, record->asked_at);
        return store_run(store, which);
}

static int apply_payer(struct sqlite_store *store, const struct store_record *record)
{
        if (record->payer[0] == '\0')
                return 0;
        bind_text(store->sql[STORE_SQL_PURCHASE_PAYER], 2, record->payer);
        return store_run_for(store, STORE_SQL_PURCHASE_PAYER, record->purchase->number);
}

int store_purchase_waits(struct sqlite_store *store, int64_t number, bool *ret_waits)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_PURCHASE_WAITS];

        (void)sqlite3_bind_int64(statement, 1, number);
        int r = store_step(&store->jobs, statement);
        (void)sqlite3_reset(statement);
        if (r < 0)
                return r;
        *ret_waits = r > 0;
        return 0;
}

/* The record's body is stored already. Here it is seen whether one goes. */
static int apply_body(struct sqlite_store *store, const struct store_record *record)
{
        bool moved_on = record->move == STORE_PURCHASE_MOVE && record->state >= JOB_ACCEPTED;
        bool waits = false;
        int r = 0;

        if (!moved_on && !record->body)
                return 0;
        /* The upstream has it, or nobody wants it any more. */
        if (!moved_on)
                r = store_purchase_waits(store, record->purchase->number, &waits);
        if (r == 0 && !waits)
                store_bodies_note(store, record->purchase->number);
        return r;
}

/* Binds what STORE_SQL_JOB_ADD and STORE_SQL_JOB_END have in common. */
static void bind_job(sqlite3_stmt *statement, const struct job *job)
{
        bind_text(statement, 1, job->id);
        bind_text(statement, 3, job->client);
        bind_text(statement, 4, job->target_json);
        (void)sqlite3_bind_int64(statement, 5, job->created_wall_ms);
        (void)sqlite3_bind_int64(statement, 6, job_wall_of(job->deadline_ms));
        if (job->key) {
                bind_text(statement, 7, job->key);
                bind_blob(statement, 8, job->key_digest, sizeof job->key_digest);
        }
        bind_text(statement, 9, job->address);
}

static int apply_jobs(struct sqlite_store *store, const struct store_record *record)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_JOB_ADD];
        int r = 0;

        for (size_t i = 0; r == 0 && i < record->job_count; i++) {
                bind_job(statement, record->jobs[i]);
                (void)sqlite3_bind_int64(statement, 2, record->purchase->number);
                r = store_run(store, STORE_SQL_JOB_ADD);
        }
        return r;
}

static int open_charge(struct sqlite_store *store, const struct store_record *record)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_CHARGE_OPEN];

        (void)sqlite3_bind_int64(statement, 1, record->purchase->number);
        (void)sqlite3_bind_int64(statement, 2, record->charge_day);
        (void)sqlite3_bind_int64(statement, 3, record->charge_wall_ms);
        bind_text(statement, 4, record->upstream);
        bind_text(statement, 5, record->charge_job);
        return store_run(store, STORE_SQL_CHARGE_OPEN);
}

static int apply_charge(struct sqlite_store *store, const struct store_record *record)
{
        switch (record->charge) {
        case STORE_CHARGE_NONE:
                return 0;
        case STORE_CHARGE_OPEN:
                return open_charge(store, record);
        case STORE_CHARGE_CHARGED:
        case STORE_CHARGE_NOT_CHARGED:
        case STORE_CHARGE_UNKNOWN:
                (void)sqlite3_bind_int(store->sql[STORE_SQL_CHARGE_SETTLE], 2, (int)record->charge);
                return store_run_for(store, STORE_SQL_CHARGE_SETTLE, record->purchase->number);
        }
        return -EPROTO;
}

int store_drop_unneeded(struct sqlite_store *store, int64_t number)
{
        static const enum store_sql then[] = {
                STORE_SQL_CHARGE_FOLD,
                STORE_SQL_CHARGE_DELETE,
        };

        int r = store_run_for(store, STORE_SQL_PURCHASE_DROP, number);
        if (r < 0 || sqlite3_changes(store->jobs.db) == 0)
                return r;
        for (size_t i = 0; r == 0 && i < sizeof then / sizeof then[0]; i++)
                r = store_run_for(store, then[i], number);
        return r;
}

static int end_job(struct sqlite_store *store, const struct job *job, const struct outcome *outcome)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_JOB_END];

        if (!outcome)
                return -EPROTO;
        bind_job(statement, job);
        (void)sqlite3_bind_int(statement, 10, (int)outcome->state);
        bind_outcome(statement, 11, outcome);
        int r = store_run(store, STORE_SQL_JOB_END);
        if (r == 0 && job->purchase)
                r = store_drop_unneeded(store, job->purchase->number);
        return r;
}

static int apply_ended(struct sqlite_store *store, const struct store_record *record)
{
        int r = record->ended ? end_job(store, record->ended, record->outcome) : 0;

        for (size_t i = 0; r == 0 && i < record->ending_count; i++)
                r = end_job(store, record->endings[i].job, record->endings[i].outcome);
        return r;
}

/* As if each were the only one in its record. */
static int apply_dropped(struct sqlite_store *store, const struct store_record *record)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < record->dropped_count; i++) {
                const struct store_record drop = {
                        .move = STORE_PURCHASE_MOVE,
                        .purchase = record->dropped[i],
                        .state = JOB_CANCELLED,
                };
                r = apply_move(store, &drop);
                if (r == 0)
                        r = apply_body(store, &drop);
                if (r == 0)
                        r = store_drop_unneeded(store, drop.purchase->number);
        }
        return r;
}

/* Returns 0 or -errno; *ret_number is the purchase, or 0 when there is none. */
static int forget_job(struct sqlite_store *store, const char *id, int64_t *ret_number)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_JOB_FORGET];
        int64_t number = 0;

        bind_text(statement, 1, id);
        int r = store_step(&store->jobs, statement);
        if (r > 0) {
                number = sqlite3_column_int64(statement, 0);
                r = store_step(&store->jobs, statement);
        }
        (void)sqlite3_reset(statement);
        (void)sqlite3_clear_bindings(statement);
        if (r == 0)
                *ret_number = number;
        return r;
}

int store_forget_id(struct sqlite_store *store, const char *id)
{
        int64_t number = 0;
        int r = forget_job(store, id, &number);

        if (r == 0 && number > 0)
                r = store_drop_unneeded(store, number);
        return r;
}

static int apply_forget(struct sqlite_store *store, const struct store_record *record)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < record->forget_count; i++)
                r = store_forget_id(store, record->forget[i]);
        return r;
}

/* A charge that was restored from the audit file is in it already, before its purchase ends. */
static int find_early_entry(struct sqlite_store *store, struct store_record *record)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_CHARGE_TOLD];

        record->in_audit = false;
        if (!store->has_early_entry || !record->audit || !record->purchase)
                return 0;
        (void)sqlite3_bind_int64(statement, 1, record->purchase->number);
        int r = store_step(&store->jobs, statement);
        (void)sqlite3_reset(statement);
        record->in_audit = r > 0;
        return r < 0 ? r : 0;
}

int store_apply(struct sqlite_store *store, struct store_record *record)
{
        static int (*const parts[])(struct sqlite_store *, const struct store_record *) = {
                apply_move,   apply_payer, apply_body,    apply_jobs,
                apply_charge, apply_ended, apply_dropped, apply_forget,
        };
        bool needs_purchase = record->move != STORE_PURCHASE_NONE || record->body ||
                              record->job_count > 0 || record->charge != STORE_CHARGE_NONE ||
                              record->payer[0] != '\0';
        int r = needs_purchase && !record->purchase ? -EPROTO : 0;

        if (r == 0)
                r = find_early_entry(store, record);
        for (size_t i = 0; r == 0 && i < sizeof parts / sizeof parts[0]; i++)
                r = parts[i](store, record);
        /* Its last job may have ended by itself before. */
        if (r == 0 && record->move != STORE_PURCHASE_NONE && job_state_final(record->state))
                r = store_drop_unneeded(store, record->purchase->number);
        if (r == 0)
                r = store_audit_add(store, record);
        return r;
}
