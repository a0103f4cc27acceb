/*
 * store_restore: charges that the database has lost, written into it again.
 *
 * The entries of charges are numbered, and the highest number is in the table "audited" from the
 * transaction of its charge on. So an audit file with a higher one shows that transactions are
 * missing: their write-ahead log was removed or damaged, or an older copy of jobs.db was put in
 * place. What the audit file says of them is written in one transaction with the new highest
 * number: a crash leaves all of it or nothing, and the next start finds nothing more to do.
 *
 * A job in the audit file may be in the database too, in a state from before its end. Then its
 * charge is settled there and not counted twice; and if it waits to be sent, it ends, since it was
 * sent already.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "job/state.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char create_pending[] =
        /* The jobs that may be in the audit file by now, with their purchase. */
        "CREATE TEMP TABLE pending AS"
        " SELECT job.id AS job, purchase.number AS number FROM purchase"
        "  JOIN job ON job.purchase = purchase.number WHERE purchase.state < 3"
        " UNION SELECT charge.job, purchase.number FROM purchase"
        "  JOIN charge ON charge.purchase = purchase.number WHERE purchase.state < 3"
        " UNION SELECT payer, number FROM purchase WHERE state < 3 AND payer IS NOT NULL;"
        "CREATE INDEX temp.pending_job ON pending(job);";

/* The statements of one import. ?1 is the purchase, or the job in FIND. */
enum restore_sql {
        FIND,
        SETTLE,
        ADD,
        ADD_DAY,
        END,
        RESTORE_SQL_COUNT,
};

static const char *const statements[RESTORE_SQL_COUNT] = {
        /* With whether its last attempt is the one that the entry tells of. */
        [FIND] = "SELECT purchase.number, purchase.state, purchase.state > 0 AND EXISTS"
                 " (SELECT 1 FROM charge WHERE charge.purchase = purchase.number"
                 "  AND outcome IN (1, 2) AND entry IS NULL AND attempt ="
                 "  (SELECT max(attempt) FROM charge WHERE charge.purchase = purchase.number))"
                 " FROM temp.pending JOIN purchase ON purchase.number = pending.number"
                 " WHERE pending.job = ?1 AND purchase.state < 3 LIMIT 1",
        [SETTLE] = "UPDATE charge SET entry = ?2, outcome = iif(outcome = 1, ?3, outcome)"
                   " WHERE purchase = ?1 AND attempt ="
                   " (SELECT max(attempt) FROM charge WHERE purchase = ?1)",
        [ADD] = "INSERT INTO charge(purchase, attempt, entry, outcome, day, time, client, upstream,"
                " job) SELECT ?1, coalesce(max(attempt), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
                " FROM charge WHERE purchase = ?1",
        [ADD_DAY] = "INSERT INTO charge_day(day, client, upstream, outcome, count)"
                    " VALUES (?4, ?6, ?7, ?3, 1) ON CONFLICT DO UPDATE SET count = count + 1",
        [END] = "UPDATE purchase SET state = 6, error = 5, finished = ?2, text = ?3"
                " WHERE number = ?1 AND state < 3",
};

static_assert(JOB_UNKNOWN == 6 && JOB_OUTCOME_UNKNOWN == 5, "see END");
static_assert(STORE_CHARGE_OPEN == 1 && STORE_CHARGE_CHARGED == 2, "see FIND and SETTLE");

#define ENDED_TEXT                                                                                 \
        "the database has lost the job's result; the audit file shows that it was sent and "       \
        "charged, so it was not sent again"
#define QUEUED_TEXT                                                                                \
        "the database has lost its last records, so the job may have been sent and charged; it "   \
        "was not sent again"

struct restore {
        struct sqlite_store *store;
        sqlite3_stmt *sql[RESTORE_SQL_COUNT];
        struct store_restored counts;
};

static int run(struct restore *restore, enum restore_sql which)
{
        sqlite3_stmt *statement = restore->sql[which];
        int r = store_step(&restore->store->jobs, statement);

        (void)sqlite3_reset(statement);
        (void)sqlite3_clear_bindings(statement);
        return r < 0 ? r : 0;
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
        (void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* Writes the charge itself. number is the purchase's; 0: it is not in the database any more. */
static int write_charge(struct restore *restore, const struct store_lost_charge *charge,
                        enum restore_sql which, int64_t number)
{
        sqlite3_stmt *statement = restore->sql[which];

        (void)sqlite3_bind_int64(statement, 1, number);
        (void)sqlite3_bind_int64(statement, 2, charge->entry);
        (void)sqlite3_bind_int(statement, 3,
                               charge->charged ? STORE_CHARGE_CHARGED : STORE_CHARGE_UNKNOWN);
        if (which != SETTLE) {
                (void)sqlite3_bind_int64(statement, 4, charge->day);
                (void)sqlite3_bind_int64(statement, 5, charge->wall_ms);
                bind_text(statement, 6, charge->client);
                bind_text(statement, 7, charge->upstream);
                bind_text(statement, 8, charge->job);
        }
        return run(restore, which);
}

static int end_purchase(struct restore *restore, int64_t number, const char *text)
{
        sqlite3_stmt *statement = restore->sql[END];

        (void)sqlite3_bind_int64(statement, 1, number);
        (void)sqlite3_bind_int64(statement, 2, clock_wall_ms());
        bind_text(statement, 3, text);
        int r = run(restore, END);
        restore->counts.ended += r == 0 ? sqlite3_changes(restore->store->jobs.db) : 0;
        return r;
}

/* What the database knows of the job of a charge. */
struct found {
        int64_t number;
        bool accepted; /* so it can still be polled */
        bool open;     /* its last attempt waits for an entry */
};

/* Returns 1, 0 where there is none that is not final, or -errno. */
static int find_purchase(struct restore *restore, const char *job, struct found *ret_found)
{
        sqlite3_stmt *statement = restore->sql[FIND];

        bind_text(statement, 1, job);
        int r = store_step(&restore->store->jobs, statement);
        if (r > 0)
                *ret_found = (struct found){
                        .number = sqlite3_column_int64(statement, 0),
                        .accepted = sqlite3_column_int(statement, 1) == JOB_ACCEPTED,
                        .open = sqlite3_column_int(statement, 2) != 0,
                };
        (void)sqlite3_reset(statement);
        return r;
}

static int restore_charge(struct restore *restore, const struct store_lost_charge *charge)
{
        struct found found;
        int r = find_purchase(restore, charge->job, &found);

        if (r < 0)
                return r;
        if (r == 0)
                return write_charge(restore, charge, ADD_DAY, 0);
        r = write_charge(restore, charge, found.open ? SETTLE : ADD, found.number);
        if (r == 0 && charge->charged && !found.accepted)
                r = end_purchase(restore, found.number, ENDED_TEXT);
        return r;
}

/* What waits may have been sent since. With resend those end that cannot be sent: their body was
 * deleted, so they were. */
static int end_queued(struct restore *restore, bool resend)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(&restore->store->jobs,
                              "SELECT number FROM purchase WHERE state = 0 AND (NOT ?1 OR NOT"
                              " EXISTS (SELECT 1 FROM stored WHERE stored.number ="
                              "  purchase.number))",
                              &row);
        if (r == 0)
                (void)sqlite3_bind_int(row, 1, resend);
        while (r >= 0 && (r = store_step(&restore->store->jobs, row)) > 0)
                r = end_purchase(restore, sqlite3_column_int64(row, 0), QUEUED_TEXT);
        (void)sqlite3_finalize(row);
        return r;
}

static int restore_all(struct restore *restore, const struct store_losses *losses)
{
        struct store_lost_charge charge;
        int r = store_run(restore->store, STORE_SQL_BEGIN);

        while (r >= 0 && (r = losses->next(losses->arg, &charge)) > 0)
                r = restore_charge(restore, &charge);
        if (r == 0)
                r = end_queued(restore, losses->resend);
        if (r == 0)
                r = store_run_for(restore->store, STORE_SQL_AUDIT_LAST, losses->last_entry);
        if (r == 0)
                r = store_run(restore->store, STORE_SQL_COMMIT);
        if (r < 0)
                store_rollback(&restore->store->jobs);
        return r;
}

int sqlite_last_entry(struct store *base, int64_t *ret_entry)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return store_number(
                &store->jobs,
                "SELECT max(coalesce(last, -1), coalesce((SELECT max(entry) FROM audit),"
                " -1)) FROM audited",
                ret_entry);
}

int sqlite_restore(struct store *base, const struct store_losses *losses,
                   struct store_restored *ret_restored)
{
        struct sqlite_store *store = sqlite_store_of(base);
        struct restore restore = {.store = store};
        int r = store_bodies_list(store, store_range_of(NULL), NULL);

        if (r == 0)
                r = store_execute(&store->jobs, create_pending);
        for (int i = 0; r == 0 && i < RESTORE_SQL_COUNT; i++)
                r = store_prepare(&store->jobs, statements[i], &restore.sql[i]);
        if (r == 0)
                r = restore_all(&restore, losses);
        for (int i = 0; i < RESTORE_SQL_COUNT; i++)
                (void)sqlite3_finalize(restore.sql[i]);
        int dropped = store_execute(&store->jobs, "DROP TABLE IF EXISTS temp.pending;"
                                                  "DROP TABLE IF EXISTS temp.stored");
        if (r == 0)
                r = dropped;
        if (r == 0)
                *ret_restored = restore.counts;
        return r;
}
