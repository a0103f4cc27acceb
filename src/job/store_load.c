/*
 * store_load: what is left of an earlier run, read once at start.
 */
#include "job/store_private.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A copy of a column, or NULL where it is NULL. */
static int copy_text(sqlite3_stmt *row, int column, char **ret_text)
{
        const char *text = (const char *)sqlite3_column_text(row, column);

        if (!text && sqlite3_column_type(row, column) == SQLITE_NULL) {
                *ret_text = NULL;
                return 0;
        }
        char *copy = text ? strdup(text) : NULL;
        if (!copy)
                return -ENOMEM;
        *ret_text = copy;
        return 0;
}

/* A wall time, whatever the row says: nothing that is computed from it overflows. */
static int64_t read_time(sqlite3_stmt *row, int column)
{
        return clock_wall_clamp(sqlite3_column_int64(row, column));
}

/*
 * What nobody needs: results past their time; purchases that wait without a body, whose ids never
 * left; and purchases whose last job ended by itself in the moment of the end. A charge that is
 * open was made by a process that cannot say any more how it went.
 */
static int delete_unneeded(struct store *store, int64_t finished_after_wall_ms)
{
        char purchases[96], jobs[96], ended[128], gone[400];
        const long long now_ms = (long long)clock_wall_ms();

        /* By a clock that was ahead. Otherwise each start would keep it for the whole time again.
         */
        (void)snprintf(purchases, sizeof purchases,
                       "UPDATE purchase SET finished = %lld WHERE finished > %lld", now_ms, now_ms);
        (void)snprintf(jobs, sizeof jobs, "UPDATE job SET finished = %lld WHERE finished > %lld",
                       now_ms, now_ms);
        (void)snprintf(ended, sizeof ended, "DELETE FROM job WHERE finished <= %lld",
                       (long long)finished_after_wall_ms);
        (void)snprintf(gone, sizeof gone,
                       "CREATE TEMP TABLE gone AS SELECT number FROM purchase"
                       " WHERE finished <= %lld"
                       " OR state = %d AND NOT EXISTS"
                       "  (SELECT 1 FROM stored WHERE stored.number = purchase.number)"
                       " OR NOT EXISTS (SELECT 1 FROM job WHERE job.purchase = number)",
                       (long long)finished_after_wall_ms, JOB_QUEUED);
        const char *const steps[] = {
                "BEGIN IMMEDIATE",
                "UPDATE charge SET outcome = 4 WHERE outcome = 1",
                purchases,
                jobs,
                ended,
                gone,
                "INSERT INTO charge_day(day, client, upstream, outcome, count)"
                " SELECT day, client, upstream, outcome, 1 FROM charge"
                " WHERE purchase IN (SELECT number FROM gone)"
                " ON CONFLICT DO UPDATE SET count = count + 1",
                "DELETE FROM charge WHERE purchase IN (SELECT number FROM gone)",
                "DELETE FROM job WHERE purchase IN (SELECT number FROM gone)",
                "DELETE FROM purchase WHERE number IN (SELECT number FROM gone)",
                "DROP TABLE gone",
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++)
                r = store_execute(&store->jobs, steps[i]);
        if (r == 0)
                r = store_run(store, STORE_SQL_COMMIT);
        if (r < 0)
                store_rollback(&store->jobs);
        return r;
}

static int read_state(sqlite3_stmt *row, int column, enum job_state *ret_state)
{
        int64_t state = sqlite3_column_int64(row, column);

        if (state < JOB_QUEUED || state > JOB_UNKNOWN)
                return -EBADMSG;
        *ret_state = (enum job_state)state;
        return 0;
}

/* Reads state, error and text from column at on. */
static int read_outcome(sqlite3_stmt *row, int at, struct outcome **ret_outcome)
{
        enum job_state state;
        int64_t error = sqlite3_column_int64(row, at + 1);
        char *text = NULL;

        int r = read_state(row, at, &state);
        if (r == 0 && (!job_state_final(state) || error < 0 || error > JOB_OUTCOME_UNKNOWN))
                r = -EBADMSG;
        if (r == 0)
                r = copy_text(row, at + 2, &text);
        if (r < 0)
                return r;
        if (state == JOB_SOLVED) {
                *ret_outcome = outcome_solved(text, text ? strlen(text) : 0);
                return 0;
        }
        *ret_outcome = outcome_failed(state, (enum job_error)error, text ? text : "");
        free(text);
        return 0;
}

#define JOB_COLUMNS "id, client, target, created, deadline, key, key_digest, address"

static int read_job(const struct store *store, sqlite3_stmt *row, struct job **ret_job)
{
        const struct job_parts parts = {
                .id = (const char *)sqlite3_column_text(row, 0),
                .client = (const char *)sqlite3_column_text(row, 1),
                .target_json = (const char *)sqlite3_column_text(row, 2),
                .created_wall_ms = read_time(row, 3),
                .deadline_wall_ms = read_time(row, 4),
                .key = (const char *)sqlite3_column_text(row, 5),
                .key_digest = sqlite3_column_blob(row, 6),
                .address = (const char *)sqlite3_column_text(row, 7),
                .offset_ms = &store->load_offset_ms,
        };

        if (!parts.id || !parts.client || !parts.target_json || !parts.address)
                return -ENOMEM; /* none is NULL in the table */
        if (strlen(parts.id) != JOB_ID_CHARS || strlen(parts.address) >= JOB_ADDRESS_CHARS)
                return -EBADMSG;
        if (parts.key && sqlite3_column_bytes(row, 6) != JOB_DIGEST_BYTES)
                return -EBADMSG;
        return job_new(&parts, ret_job);
}

/* Attaches a purchase's jobs, in the order in which they came. */
static int read_jobs(struct store *store, sqlite3_stmt *row, struct purchase *purchase)
{
        int r = 0;

        (void)sqlite3_bind_int64(row, 1, purchase->number);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                struct job *job = NULL;
                r = read_job(store, row, &job);
                if (r < 0)
                        break;
                job->purchase = purchase_ref(purchase);
                job->attached = true;
                job->kept = JOB_KEPT;
                if (!purchase->jobs || job->deadline_ms > purchase->deadline_ms)
                        purchase->deadline_ms = job->deadline_ms;
                DL_APPEND2(purchase->jobs, job, sibling_prev, sibling_next);
        }
        (void)sqlite3_reset(row);
        return r;
}

/* Puts the job that pays to the head. Returns false if it is not among the purchase's any more. */
static bool put_first(struct purchase *purchase, const char *id)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (strcmp(job->id, id) == 0)
                        break;
        }
        if (!job)
                return false;
        DL_DELETE2(purchase->jobs, job, sibling_prev, sibling_next);
        DL_PREPEND2(purchase->jobs, job, sibling_prev, sibling_next);
        return true;
}

static int read_identity(sqlite3_stmt *row, struct task_identity *ret_identity)
{
        const void *identity = sqlite3_column_blob(row, 1);

        if (!identity || sqlite3_column_bytes(row, 1) != TASK_IDENTITY_BYTES)
                return -EBADMSG;
        memcpy(ret_identity->bytes, identity, TASK_IDENTITY_BYTES);
        return 0;
}

/* With the last of its charges, if it has any, and who paid that. */
static const char select_purchases[] =
        "SELECT number, identity, host, created, state, error, text, finished, purchase.upstream,"
        " upstream_id, EXISTS (SELECT 1 FROM stored WHERE stored.number = purchase.number),"
        " (SELECT count(*) FROM charge WHERE charge.purchase = number AND outcome = 4),"
        " last.time, last.job, last.client,"
        " (SELECT address FROM job WHERE job.id = last.job), purchase.payer, asked_at,"
        " last.day"
        " FROM purchase LEFT JOIN charge AS last ON last.purchase = number AND last.attempt ="
        "  (SELECT max(attempt) FROM charge WHERE charge.purchase = number)"
        " ORDER BY number";

/* Who paid for what was sent has ended by himself: a job in his place, of what the charge says. */
static int make_payer(sqlite3_stmt *row, struct job **ret_payer)
{
        const int64_t now_ms = clock_wall_ms();
        const struct job_parts parts = {
                .id = (const char *)sqlite3_column_text(row, 13),
                .client = (const char *)sqlite3_column_text(row, 14),
                .address = (const char *)sqlite3_column_text(row, 15),
                .target_json = "\"\"",
                .created_wall_ms = now_ms,
                .deadline_wall_ms = now_ms,
        };

        if (!parts.id || !parts.client)
                return -ENOMEM; /* neither is NULL in the table */
        return strlen(parts.id) == JOB_ID_CHARS ? job_new(&parts, ret_payer) : -EBADMSG;
}

/*
 * Finds the job that pays, and puts it first: for what was sent, the one that the charge names; for
 * what waits, the one that was to pay since another one left, else the one of its last try. Nothing
 * says otherwise where the first job pays.
 */
static int read_payer(sqlite3_stmt *row, struct purchase *purchase)
{
        bool sent = purchase->state == JOB_SENDING || purchase->state == JOB_ACCEPTED;
        int column = sent || sqlite3_column_type(row, 16) == SQLITE_NULL ? 13 : 16;

        if (job_state_final(purchase->state) || sqlite3_column_type(row, column) == SQLITE_NULL)
                return 0;
        const char *id = (const char *)sqlite3_column_text(row, column);
        if (!id)
                return -ENOMEM;
        if (put_first(purchase, id))
                return 0;
        purchase->unpaid = !sent;
        return sent ? make_payer(row, &purchase->payer) : 0;
}

static int read_purchase(sqlite3_stmt *row, struct purchase **ret_purchase)
{
        int64_t number = sqlite3_column_int64(row, 0);
        enum job_state state;
        struct task_identity identity;
        struct purchase *purchase = NULL;
        char *host = NULL;

        int r = number > 0 && number <= STORE_NUMBER_MAX ? read_state(row, 4, &state) : -EBADMSG;
        if (r == 0)
                r = read_identity(row, &identity);
        if (r == 0)
                r = copy_text(row, 2, &host);
        if (r == 0)
                r = purchase_new(number, &identity, host, NULL, &purchase);
        if (r < 0) {
                free(host);
                return r;
        }
        purchase->created_wall_ms = read_time(row, 3);
        purchase->state = state;
        purchase->place = job_state_final(state) ? PURCHASE_IS_DONE : PURCHASE_WAITS;
        purchase->body_stored = state < JOB_ACCEPTED && sqlite3_column_int(row, 10) != 0;
        purchase->sent_stored = state != JOB_QUEUED;
        purchase->attempts = sqlite3_column_int(row, 11); /* those that may have cost money */
        purchase->doubtful = purchase->attempts > 0;
        purchase->charge_day = sqlite3_column_int64(row, 18);
        if (state != JOB_QUEUED)
                purchase->sent_wall_ms = read_time(row, 12); /* NULL reads as 0 */
        purchase->recorded = true;
        r = copy_text(row, 8, &purchase->upstream);
        if (r == 0)
                r = copy_text(row, 9, &purchase->upstream_id);
        if (r == 0)
                r = copy_text(row, 17, &purchase->asked_at);
        if (r == 0 && purchase->upstream_id &&
            strlen(purchase->upstream_id) > STORE_UPSTREAM_ID_BYTES_MAX)
                r = -EBADMSG; /* cut off it may be the id of another job */
        if (r < 0) {
                purchase_unref(purchase);
                return r;
        }
        *ret_purchase = purchase;
        return 0;
}

/* A row with values that this program never wrote is named in the error. */
static int refuse_row(struct store *store, const char *table, int64_t rowid, int error)
{
        if (error == -EBADMSG)
                store_set_problem(store, "%.150s: invalid row %lld in table %s", store->jobs.path,
                                  (long long)rowid, table);
        return error;
}

/* Reads one purchase with its jobs, and hands it over. */
static int visit_purchase(struct store *store, sqlite3_stmt *row, sqlite3_stmt *jobs,
                          const struct store_visitor *visitor)
{
        struct purchase *purchase = NULL;
        struct outcome *outcome = NULL;

        int r = read_purchase(row, &purchase);
        if (r < 0)
                return refuse_row(store, "purchase", sqlite3_column_int64(row, 0), r);
        if (job_state_final(purchase->state))
                r = read_outcome(row, 4, &outcome);
        if (r == 0)
                r = read_jobs(store, jobs, purchase);
        if (r == 0)
                r = read_payer(row, purchase);
        if (r < 0) {
                outcome_unref(outcome);
                purchase_drop(purchase);
                return refuse_row(store, "purchase", sqlite3_column_int64(row, 0), r);
        }
        return visitor->purchase(visitor->arg, purchase, outcome, read_time(row, 7));
}

static int visit_purchases(struct store *store, const struct store_visitor *visitor)
{
        sqlite3_stmt *row = NULL, *jobs = NULL;

        int r = store_prepare(&store->jobs, select_purchases, &row);
        if (r == 0)
                r = store_prepare(&store->jobs,
                                  "SELECT " JOB_COLUMNS " FROM job WHERE purchase = ?1"
                                  " ORDER BY seq",
                                  &jobs);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0)
                r = visit_purchase(store, row, jobs, visitor);
        (void)sqlite3_finalize(row);
        (void)sqlite3_finalize(jobs);
        return r;
}

static int visit_ended(struct store *store, const struct store_visitor *visitor)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(&store->jobs,
                              "SELECT " JOB_COLUMNS ", state, error, text, finished, seq FROM job"
                              " WHERE purchase IS NULL ORDER BY seq",
                              &row);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                struct job *job = NULL;
                struct outcome *outcome = NULL;
                r = read_outcome(row, 8, &outcome);
                if (r == 0)
                        r = read_job(store, row, &job);
                if (r < 0) {
                        outcome_unref(outcome);
                        r = refuse_row(store, "job", sqlite3_column_int64(row, 12), r);
                        break;
                }
                job->kept = JOB_KEPT;
                r = visitor->ended(visitor->arg, job, outcome, read_time(row, 11));
        }
        (void)sqlite3_finalize(row);
        return r;
}

/* No purchase may be given the number of a body that is there, were it left over. */
static int read_next_number(struct store *store)
{
        int64_t number = 0;
        int r = store_number(&store->jobs,
                             "SELECT 1 + max(coalesce((SELECT max(number) FROM purchase), 0),"
                             " coalesce((SELECT max(number) FROM stored), 0),"
                             " coalesce((SELECT max(purchase) FROM charge), 0))",
                             &number);

        if (r == 0 && (number < 1 || number > STORE_NUMBER_MAX)) {
                store_set_problem(store, "%.150s: a purchase has an invalid number",
                                  store->jobs.path);
                r = -EBADMSG;
        }
        if (r == 0)
                atomic_store(&store->next_number, number);
        return r;
}

int store_load(struct store *store, int64_t finished_after_wall_ms,
               const struct store_visitor *visitor, struct strbuf *problem)
{
        char reason[STORE_PROBLEM_BYTES];

        store->load_offset_ms = job_clock_offset();
        int r = store_bodies_list(store);
        if (r == 0)
                r = read_next_number(store);
        if (r == 0)
                r = delete_unneeded(store, finished_after_wall_ms);
        if (r == 0)
                r = visit_purchases(store, visitor);
        if (r == 0)
                r = visit_ended(store, visitor);
        if (r == 0)
                r = store_bodies_drop_orphans(store);
        if (r == 0)
                r = store_audit_load(store);
        store->jobs.slack = store->bodies.slack = true;
        if (r < 0) {
                store_problem(store, reason, sizeof reason);
                (void)strbuf_printf(problem, "the store in %s could not be read: %s",
                                    store->directory, reason[0] != '\0' ? reason : strerror(-r));
        }
        return r;
}
