/*
 * store_schema: the tables of the store, the steps from one version to the next, and the
 * statements that are kept prepared. Times are wall clock, in ms since the epoch.
 */
#include "job/store_private.h"

#include "job/state.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

/* The statements below know these numbers. */
static_assert(JOB_QUEUED == 0 && JOB_SENDING == 1 && JOB_ACCEPTED == 2 && JOB_SOLVED == 3,
              "states from JOB_SOLVED on are final");
static_assert(STORE_CHARGE_OPEN == 1 && STORE_CHARGE_UNKNOWN == 4, "see charge.outcome");

/*
 * A job row has a purchase as long as it ends with it; one that ended by itself has an end of its
 * own instead. So a purchase is needed while a job row names it, or while it is not final.
 *
 * charge has a row for each attempt of each purchase that is there; when the purchase goes, its
 * rows are counted into charge_day.
 */
static const char version_1[] =
        "CREATE TABLE purchase ("
        " number INTEGER PRIMARY KEY,"
        " identity BLOB NOT NULL,"
        " host TEXT,"
        " created INTEGER NOT NULL,"
        " state INTEGER NOT NULL,"
        " upstream TEXT,"
        " upstream_id TEXT,"
        " error INTEGER,"
        " text TEXT,"
        " finished INTEGER CHECK ((finished IS NOT NULL) = (state >= 3))"
        ") STRICT;"
        "CREATE TABLE body (purchase INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
        "CREATE TABLE job ("
        " seq INTEGER PRIMARY KEY,"
        " id TEXT NOT NULL UNIQUE,"
        " purchase INTEGER,"
        " client TEXT NOT NULL,"
        " target TEXT NOT NULL,"
        " created INTEGER NOT NULL,"
        " deadline INTEGER NOT NULL,"
        " key TEXT,"
        " key_digest BLOB,"
        " state INTEGER,"
        " error INTEGER,"
        " text TEXT,"
        " finished INTEGER CHECK ((finished IS NULL) = (purchase IS NOT NULL))"
        ") STRICT;"
        "CREATE INDEX job_purchase ON job(purchase) WHERE purchase IS NOT NULL;"
        "CREATE TABLE charge ("
        " purchase INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL,"
        " day INTEGER NOT NULL,"
        " time INTEGER NOT NULL,"
        " client TEXT NOT NULL,"
        " upstream TEXT NOT NULL,"
        " job TEXT NOT NULL,"
        " outcome INTEGER NOT NULL,"
        " PRIMARY KEY (purchase, attempt)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE TABLE charge_day ("
        " day INTEGER NOT NULL,"
        " client TEXT NOT NULL,"
        " upstream TEXT NOT NULL,"
        " outcome INTEGER NOT NULL,"
        " count INTEGER NOT NULL,"
        " PRIMARY KEY (day, client, upstream, outcome)"
        ") STRICT, WITHOUT ROWID;"
        /* for operators, with any SQLite tool */
        "CREATE VIEW ledger(client, upstream, outcome, count) AS"
        " SELECT client, upstream, CASE outcome WHEN 1 THEN 'open' WHEN 2 THEN 'charged'"
        "  WHEN 3 THEN 'not_charged' ELSE 'unknown' END, sum(count)"
        " FROM (SELECT client, upstream, outcome, count FROM charge_day"
        "  UNION ALL SELECT client, upstream, outcome, 1 FROM charge)"
        " GROUP BY client, upstream, outcome;";

/* steps[n] leads from version n to n + 1. */
static const char *const steps[STORE_VERSION] = {version_1};

#define PURCHASE_VALUES                                                                            \
        "INSERT INTO purchase(number, identity, host, created, state, upstream, upstream_id,"      \
        " error, text, finished) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"                 \
        " ON CONFLICT(number) DO "

static const char *const statements[STORE_SQL_COUNT] = {
        /* At once a writer, so that the wait for another one is here and not half-way. */
        [STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
        [STORE_SQL_COMMIT] = "COMMIT",
        [STORE_SQL_TOUCH] = "PRAGMA application_id = 0x736f6c76",
        [STORE_SQL_PURCHASE_ADD] = PURCHASE_VALUES "NOTHING",
        [STORE_SQL_PURCHASE_MOVE] = PURCHASE_VALUES
        "UPDATE SET state = excluded.state, upstream = coalesce(excluded.upstream, upstream),"
        " upstream_id = coalesce(excluded.upstream_id, upstream_id), error = excluded.error,"
        " text = excluded.text, finished = excluded.finished",
        [STORE_SQL_PURCHASE_DROP] = "DELETE FROM purchase WHERE number = ?1 AND state >= 3"
                                    " AND NOT EXISTS (SELECT 1 FROM job WHERE job.purchase = ?1)",
        /* Only while it may still be needed. */
        [STORE_SQL_BODY_ADD] =
                "INSERT INTO body(purchase, bytes) SELECT ?1, ?2"
                " WHERE EXISTS (SELECT 1 FROM purchase WHERE number = ?1 AND state < 2)"
                " ON CONFLICT(purchase) DO NOTHING",
        [STORE_SQL_BODY_DELETE] = "DELETE FROM body WHERE purchase = ?1",
        [STORE_SQL_BODY_READ] = "SELECT bytes FROM body WHERE purchase = ?1",
        /* Without the purchase it fails: the job would be lost at the next start. */
        [STORE_SQL_JOB_ADD] =
                "INSERT INTO job(id, purchase, client, target, created, deadline, key, key_digest)"
                " VALUES (?1, (SELECT number FROM purchase WHERE number = ?2),"
                " ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(id) DO NOTHING",
        [STORE_SQL_JOB_END] =
                "INSERT INTO job(id, client, target, created, deadline, key, key_digest,"
                " state, error, text, finished)"
                " VALUES (?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
                " ON CONFLICT(id) DO UPDATE SET purchase = NULL, state = excluded.state,"
                " error = excluded.error, text = excluded.text, finished = excluded.finished",
        [STORE_SQL_JOB_FORGET] = "DELETE FROM job WHERE id = ?1 RETURNING purchase",
        [STORE_SQL_CHARGE_OPEN] =
                "INSERT INTO charge(purchase, attempt, day, time, client, upstream, job, outcome)"
                " SELECT ?1, coalesce(max(attempt), 0) + 1, ?2, ?3,"
                " (SELECT client FROM job WHERE id = ?5), ?4, ?5, 1"
                " FROM charge WHERE purchase = ?1",
        /* What was settled once stays: a try that was none after all settles nothing. */
        [STORE_SQL_CHARGE_SETTLE] =
                "UPDATE charge SET outcome = ?2 WHERE purchase = ?1 AND outcome = 1",
        [STORE_SQL_CHARGE_FOLD] = "INSERT INTO charge_day(day, client, upstream, outcome, count)"
                                  " SELECT day, client, upstream, iif(outcome = 1, 4, outcome), 1"
                                  " FROM charge WHERE purchase = ?1"
                                  " ON CONFLICT DO UPDATE SET count = count + 1",
        [STORE_SQL_CHARGE_DELETE] = "DELETE FROM charge WHERE purchase = ?1",
        [STORE_SQL_DAY_PRUNE] = "DELETE FROM charge_day WHERE day < ?1",
};

int store_migrate(struct store *store)
{
        int64_t version = 0;
        char done[64];

        int r = store_number(store, "PRAGMA user_version", &version);
        for (; r == 0 && version < STORE_VERSION; version++) {
                (void)snprintf(done, sizeof done, "PRAGMA user_version = %d; COMMIT",
                               (int)version + 1);
                r = store_execute(store, "BEGIN IMMEDIATE");
                if (r == 0)
                        r = store_execute(store, steps[version]);
                if (r == 0)
                        r = store_execute(store, done);
                if (r < 0)
                        store_rollback(store);
        }
        return r;
}

int store_prepare_all(struct store *store)
{
        for (int i = 0; i < STORE_SQL_COUNT; i++) {
                int code = sqlite3_prepare_v3(store->db, statements[i], -1,
                                              SQLITE_PREPARE_PERSISTENT, &store->sql[i], NULL);
                if (code != SQLITE_OK)
                        return store_failed(store, code);
        }
        return 0;
}
