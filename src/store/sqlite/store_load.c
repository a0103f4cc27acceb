/*
 * store_load: what is left of an earlier run, read once at start.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "job/body.h"
#include "job/job.h"
#include "job/number.h"
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

static int read_job(const struct sqlite_store *store, sqlite3_stmt *row, struct job **ret_job)
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
static int read_jobs(struct sqlite_store *store, sqlite3_stmt *row, struct purchase *purchase)
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

/* Finds a job by its id. Returns NULL if it is not among the purchase's any more. */
static struct job *job_of(const struct purchase *purchase, const char *id)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                if (strcmp(job->id, id) == 0)
                        return job;
        }
        return NULL;
}

static void put_first(struct purchase *purchase, struct job *job)
{
        DL_DELETE2(purchase->jobs, job, sibling_prev, sibling_next);
        DL_PREPEND2(purchase->jobs, job, sibling_prev, sibling_next);
}

/* Marks the jobs that were charged, or may have been. If the purchase is final, puts the last one
 * of them first. */
static int read_paid(struct sqlite_store *store, sqlite3_stmt *row, struct purchase *purchase)
{
        int r = 0;

        (void)sqlite3_bind_int64(row, 1, purchase->number);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                const char *id = (const char *)sqlite3_column_text(row, 0);
                struct job *job = id ? job_of(purchase, id) : NULL;
                if (!id)
                        r = -ENOMEM; /* it is not NULL in the table */
                if (!job)
                        continue;
                job->paid = true;
                if (job_state_final(purchase->state))
                        put_first(purchase, job);
        }
        (void)sqlite3_reset(row);
        return r;
}

static int read_identity(sqlite3_stmt *row, struct task_identity *ret_identity)
{
        const void *identity = sqlite3_column_blob(row, 1);

        if (!identity || sqlite3_column_bytes(row, 1) != TASK_IDENTITY_BYTES)
                return -EBADMSG;
        memcpy(ret_identity->bytes, identity, TASK_IDENTITY_BYTES);
        return 0;
}

/* Those that finished after some time. */
static const char select_final[] =
        "SELECT number, identity, host, created, state, error, text, finished, NULL, NULL, 0, 0,"
        " NULL, NULL, NULL, NULL, NULL, NULL, 0"
        " FROM purchase WHERE finished > ?1 AND number BETWEEN ?3 AND ?4 ORDER BY number";

/* The others, with the last of their charges, if they have any, and who paid that. */
static const char select_not_final[] =
        "SELECT number, identity, host, created, state, error, text, finished, purchase.upstream,"
        " upstream_id, EXISTS (SELECT 1 FROM stored WHERE stored.number = purchase.number),"
        " (SELECT count(*) FROM charge WHERE charge.purchase = number AND outcome = 4),"
        " last.time, last.job, last.client,"
        " (SELECT address FROM job WHERE job.id = last.job), purchase.payer, asked_at,"
        " last.day"
        " FROM purchase LEFT JOIN charge AS last ON last.purchase = number AND last.attempt ="
        "  (SELECT max(attempt) FROM charge WHERE charge.purchase = number)"
        " WHERE state < 3 AND number BETWEEN ?1 AND ?2 ORDER BY number";

static const char select_jobs[] =
        "SELECT " JOB_COLUMNS " FROM job WHERE purchase = ?1 ORDER BY seq";

/* By now no charge is open. */
static const char select_paid[] =
        "SELECT job FROM charge WHERE purchase = ?1 AND outcome IN (2, 4) ORDER BY attempt";

static const char select_ended[] =
        "SELECT " JOB_COLUMNS ", state, error, text, finished, seq FROM job"
        " WHERE purchase IS NULL AND finished > iif(state = 3, ?2, ?1) AND ?3 <= 0 ORDER BY seq";

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
 * Finds the job that pays for a purchase that is not final, and puts it first: for what was sent,
 * the one that the charge names; for what waits, the one that was to pay since another one left,
 * else the one of its last try. Nothing says otherwise where the first job pays.
 */
static int read_payer(sqlite3_stmt *row, struct purchase *purchase)
{
        bool sent = purchase->state == JOB_SENDING || purchase->state == JOB_ACCEPTED;
        int column = sent || sqlite3_column_type(row, 16) == SQLITE_NULL ? 13 : 16;

        if (sqlite3_column_type(row, column) == SQLITE_NULL)
                return 0;
        const char *id = (const char *)sqlite3_column_text(row, column);
        if (!id)
                return -ENOMEM;
        struct job *payer = job_of(purchase, id);
        if (payer) {
                put_first(purchase, payer);
                return 0;
        }
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
static int refuse_row(struct sqlite_store *store, const char *table, int64_t rowid, int error)
{
        if (error == -EBADMSG)
                store_set_problem(store, "%.150s: invalid row %lld in table %s", store->jobs.path,
                                  (long long)rowid, table);
        return error;
}

/* ---- what a filter lets through ---- */

struct store_range store_range_of(const struct store_filter *filter)
{
        if (!filter) /* what this program never wrote as well: it is to be named */
                return (struct store_range){INT64_MIN, INT64_MAX};
        return (struct store_range){number_of(filter->gateway, 0),
                                    number_of(filter->gateway + 1, 0) - 1};
}

void store_bind_range(sqlite3_stmt *statement, int at, struct store_range range)
{
        (void)sqlite3_bind_int64(statement, at, range.first);
        (void)sqlite3_bind_int64(statement, at + 1, range.last);
}

/* ---- the reading ---- */

struct loading {
        struct sqlite_store *store;
        const struct store_visitor *visitor;
        struct store_range range;
        struct store_survey survey;
        sqlite3_stmt *jobs; /* of one purchase */
        sqlite3_stmt *paid; /* likewise: those that were charged, or may have been */
        int64_t done;       /* rows that were read */
        int64_t *gone;      /* purchases that nobody needs */
        size_t gone_count;
};

static void note_progress(struct loading *loading)
{
        const struct store_visitor *visitor = loading->visitor;

        if (visitor->progress && loading->done % STORE_PROGRESS_ROWS == 0)
                visitor->progress(visitor->arg, loading->done, loading->survey.rows);
        loading->done++;
}

/* Notes one to be deleted, in place of handing it over. */
static int note_gone(struct loading *loading, struct purchase *purchase)
{
        size_t count = loading->gone_count;

        if ((count & (count - 1)) == 0) { /* a power of two, or none: there is no room */
                size_t room = count > 0 ? 2 * count : 1;
                int64_t *gone = reallocarray(loading->gone, room, sizeof *gone);
                if (!gone)
                        return -ENOMEM;
                loading->gone = gone;
        }
        loading->gone[loading->gone_count++] = purchase->number;
        return 0;
}

/* Whether nobody needs a purchase: it waits without a body, so the IDs of its jobs never left; or
 * its last job ended by itself in the moment of the end. */
static bool is_unneeded(const struct purchase *purchase)
{
        return !purchase->jobs || (purchase->state == JOB_QUEUED && !purchase->body_stored);
}

/* Reads one purchase with its jobs, and hands it over. */
static int visit_purchase(struct loading *loading, sqlite3_stmt *row)
{
        struct sqlite_store *store = loading->store;
        struct purchase *purchase = NULL;
        struct outcome *outcome = NULL;

        note_progress(loading);
        int r = read_purchase(row, &purchase);
        if (r < 0)
                return refuse_row(store, "purchase", sqlite3_column_int64(row, 0), r);
        if (job_state_final(purchase->state))
                r = read_outcome(row, 4, &outcome);
        if (r == 0)
                r = read_jobs(store, loading->jobs, purchase);
        if (r == 0 && !is_unneeded(purchase)) {
                r = read_paid(store, loading->paid, purchase);
                if (r == 0 && !job_state_final(purchase->state))
                        r = read_payer(row, purchase);
                if (r == 0)
                        return loading->visitor->purchase(loading->visitor->arg, purchase, outcome,
                                                          read_time(row, 7));
        } else if (r == 0) {
                r = note_gone(loading, purchase);
        }
        outcome_unref(outcome);
        purchase_drop(purchase);
        return refuse_row(store, "purchase", sqlite3_column_int64(row, 0), r);
}

static int visit_ended(struct loading *loading, sqlite3_stmt *row)
{
        struct job *job = NULL;
        struct outcome *outcome = NULL;

        note_progress(loading);
        int r = read_outcome(row, 8, &outcome);
        if (r == 0)
                r = read_job(loading->store, row, &job);
        if (r < 0) {
                outcome_unref(outcome);
                return refuse_row(loading->store, "job", sqlite3_column_int64(row, 12), r);
        }
        job->kept = JOB_KEPT;
        return loading->visitor->ended(loading->visitor->arg, job, outcome, read_time(row, 11));
}

/* Prepares one of the two queries for what is final. Returns 1 at its first row, 0 or -errno. */
static int begin_final(struct loading *loading, const char *sql, sqlite3_stmt **ret_row)
{
        struct store_file *file = &loading->store->jobs;
        int r = store_prepare(file, sql, ret_row);

        if (r < 0)
                return r;
        for (int class = 0; class < STORE_CLASSES; class ++)
                (void)sqlite3_bind_int64(*ret_row, class + 1,
                                         loading->survey.finished_after_ms[class]);
        store_bind_range(*ret_row, STORE_CLASSES + 1, loading->range);
        return store_step(file, *ret_row);
}

/* Purchases come in the order of their numbers and jobs that ended by themselves in theirs, and of
 * two of both that which finished first: so they expire in about the order in which they came. */
static int visit_final(struct loading *loading)
{
        struct store_file *file = &loading->store->jobs;
        sqlite3_stmt *purchase = NULL, *job = NULL;
        int r = 0;

        int purchases = begin_final(loading, select_final, &purchase);
        int jobs = begin_final(loading, select_ended, &job);
        while (r == 0 && purchases >= 0 && jobs >= 0 && purchases + jobs > 0) {
                bool is_job = purchases == 0 ||
                              (jobs > 0 &&
                               sqlite3_column_int64(job, 11) < sqlite3_column_int64(purchase, 7));
                r = is_job ? visit_ended(loading, job) : visit_purchase(loading, purchase);
                if (r == 0 && is_job)
                        jobs = store_step(file, job);
                else if (r == 0)
                        purchases = store_step(file, purchase);
        }
        (void)sqlite3_finalize(purchase);
        (void)sqlite3_finalize(job);
        if (r == 0)
                r = purchases < 0 ? purchases : jobs;
        return r;
}

static int visit_not_final(struct loading *loading)
{
        struct store_file *file = &loading->store->jobs;
        sqlite3_stmt *row = NULL;
        int r = store_prepare(file, select_not_final, &row);
        if (r == 0)
                store_bind_range(row, 1, loading->range);

        while (r >= 0 && (r = store_step(file, row)) > 0) {
                r = visit_purchase(loading, row);
                if (r < 0)
                        break;
        }
        (void)sqlite3_finalize(row);
        return r;
}

/* ---- what nobody needs ---- */

static int delete_gone(struct sqlite_store *store, int64_t number)
{
        static const enum store_sql steps[] = {
                STORE_SQL_CHARGE_FOLD,
                STORE_SQL_CHARGE_DELETE,
                STORE_SQL_PURCHASE_DELETE,
        };

        (void)sqlite3_bind_int(store->sql[STORE_SQL_JOBS_DELETE], 2, -1);
        int r = store_run_for(store, STORE_SQL_JOBS_DELETE, number);
        for (size_t i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++)
                r = store_run_for(store, steps[i], number);
        return r;
}

static int delete_all_gone(struct loading *loading)
{
        struct sqlite_store *store = loading->store;
        int r = 0;

        for (size_t i = 0; r == 0 && i < loading->gone_count;) {
                r = store_run(store, STORE_SQL_BEGIN);
                for (size_t n = 0; r == 0 && n < STORE_FORGET_ROWS && i < loading->gone_count; n++)
                        r = delete_gone(store, loading->gone[i++]);
                if (r == 0)
                        r = store_run(store, STORE_SQL_COMMIT);
        }
        if (r < 0)
                store_rollback(&store->jobs);
        return r;
}

/* Leaves the rest to the writer: what has expired, what does not fit into memory, and times by a
 * clock that was ahead. */
static void leave_unread(const struct loading *loading)
{
        const struct store_survey *survey = &loading->survey;
        const struct store_sweep sweep = {
                .finished_ms = {survey->finished_after_ms[STORE_MAY_BE_PAID],
                                survey->finished_after_ms[STORE_CACHED]},
                .now_ms = survey->now_ms,
                .number = loading->range.first > 0 ? loading->range.first - 1 : 0,
                .number_end = survey->last_number,
                .seq_end = survey->last_seq,
        };

        if (survey->final > survey->final_read || survey->last_finished_ms > survey->now_ms)
                store_forget_unread(loading->store, &sweep);
}

static int read_all(struct loading *loading)
{
        struct store_file *file = &loading->store->jobs;

        int r = store_prepare(file, select_jobs, &loading->jobs);
        if (r == 0)
                r = store_prepare(file, select_paid, &loading->paid);
        if (r == 0)
                r = visit_final(loading);
        if (r == 0)
                r = visit_not_final(loading);
        (void)sqlite3_finalize(loading->jobs);
        (void)sqlite3_finalize(loading->paid);
        if (r == 0)
                r = delete_all_gone(loading);
        if (r == 0)
                leave_unread(loading);
        free(loading->gone);
        return r;
}

/* Runs a query for one number, of a range. */
static int ask_range(struct store_file *file, const char *sql, struct store_range range,
                     int64_t *ret_number)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(file, sql, &row);
        if (r == 0) {
                store_bind_range(row, 1, range);
                r = store_step(file, row);
        }
        if (r > 0)
                *ret_number = sqlite3_column_int64(row, 0);
        (void)sqlite3_finalize(row);
        return r < 0 ? r : 0;
}

/* No purchase may be given the number of a body that is there, were it left over. */
static int read_next_number(struct sqlite_store *store, struct store_range range)
{
        int64_t number = 0;
        int r = ask_range(&store->jobs,
                          "SELECT 1 + max(?1,"
                          " coalesce((SELECT max(number) FROM purchase"
                          "  WHERE number BETWEEN ?1 AND ?2), 0),"
                          " coalesce((SELECT max(number) FROM stored), 0),"
                          " coalesce((SELECT max(purchase) FROM charge"
                          "  WHERE purchase BETWEEN ?1 AND ?2), 0))",
                          range, &number);

        if (r == 0 && (number < 1 || number > STORE_NUMBER_MAX)) {
                store_set_problem(store, "%.150s: a purchase has an invalid number",
                                  store->jobs.path);
                r = -EBADMSG;
        }
        if (r == 0)
                atomic_store(&store->next_number, number);
        return r;
}

int sqlite_load(struct store *base, const struct store_filter *filter,
                int64_t finished_after_wall_ms, const struct store_visitor *visitor,
                struct strbuf *problem)
{
        struct sqlite_store *store = sqlite_store_of(base);
        char reason[STORE_PROBLEM_BYTES];

        struct loading loading = {
                .store = store, .visitor = visitor, .range = store_range_of(filter)};

        store->load_offset_ms = job_clock_offset();
        int r = store_bodies_list(store, loading.range, visitor);
        if (r == 0)
                r = read_next_number(store, loading.range);
        /* A process that cannot say any more how it went has made them. */
        if (r == 0)
                r = ask_range(&store->jobs,
                              "UPDATE charge SET outcome = 4 WHERE outcome = 1"
                              " AND purchase BETWEEN ?1 AND ?2",
                              loading.range, &(int64_t){0});
        if (r == 0)
                r = store_survey(store, loading.range, finished_after_wall_ms, visitor,
                                 &loading.survey);
        if (r == 0)
                r = read_all(&loading);
        if (r == 0)
                r = store_bodies_drop_orphans(store);
        if (r == 0)
                r = store_forget_look(store);
        if (r == 0)
                r = store_audit_load(store);
        store->jobs.slack = store->bodies.slack = true;
        if (r < 0) {
                sqlite_problem(&store->base, reason, sizeof reason);
                (void)strbuf_printf(problem, "the store in %s could not be read: %s",
                                    store->directory, reason[0] != '\0' ? reason : strerror(-r));
        }
        return r;
}
