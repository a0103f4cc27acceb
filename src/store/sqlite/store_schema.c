/*
 * store_schema: the tables of the store's files, the steps from one version to the next, the
 * settings, and the statements that are kept prepared. Times are wall clock, in ms since the epoch.
 */
#include "store/sqlite/store_private.h"

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
static const char jobs_version_1[] =
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
        "CREATE VIEW charges(time, client, upstream, job, outcome) AS"
        " SELECT strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch'), client, upstream, job,"
        "  CASE outcome WHEN 1 THEN 'open' WHEN 2 THEN 'charged' WHEN 3 THEN 'not_charged'"
        "  ELSE 'unknown' END FROM charge;"
        "CREATE VIEW ledger(client, upstream, outcome, count) AS"
        " SELECT client, upstream, CASE outcome WHEN 1 THEN 'open' WHEN 2 THEN 'charged'"
        "  WHEN 3 THEN 'not_charged' ELSE 'unknown' END, sum(count)"
        " FROM (SELECT client, upstream, outcome, count FROM charge_day"
        "  UNION ALL SELECT client, upstream, outcome, 1 FROM charge)"
        " GROUP BY client, upstream, outcome;";

/*
 * audit has the entries that the audit file may not have yet; payer is the job that pays, where it
 * is not the purchase's first.
 */
static const char jobs_version_2[] =
        "ALTER TABLE job ADD COLUMN address TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE purchase ADD COLUMN payer TEXT;"
        "CREATE TABLE audit (entry INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;";

/* asked_at is where what was accepted is polled. */
static const char jobs_version_3[] = "ALTER TABLE purchase ADD COLUMN asked_at TEXT;";

/*
 * Which state of the file the log goes on from: "number" grows before and after the log is written
 * back, and "first" is what it was in the file when the log started over. So the file by itself,
 * into which the log may be copied in part, has a number from first to number.
 */
static const char jobs_version_4[] =
        "CREATE TABLE mark (first INTEGER NOT NULL, number INTEGER NOT NULL) STRICT;"
        "INSERT INTO mark VALUES (unixepoch() * 1000, unixepoch() * 1000);";

/*
 * audited has the highest number that was ever given to an entry, which an older version did not
 * note: NULL. charge.entry is the number of a charge that was restored from the audit file.
 */
static const char jobs_version_5[] = "CREATE TABLE audited (last INTEGER) STRICT;"
                                     "INSERT INTO audited VALUES (NULL);"
                                     "ALTER TABLE charge ADD COLUMN entry INTEGER;";

static const char jobs_fresh[] = "UPDATE audited SET last = 0";

static const char *const jobs_steps[] = {jobs_version_1, jobs_version_2, jobs_version_3,
                                         jobs_version_4, jobs_version_5};

/*
 * The whole file, with its indexes and free pages: where an older copy was put beside a log that is
 * not its own, each table may be sound by itself. 46 MB, of 110,000 jobs, take 0.15 s, as against
 * 0.08 s for a quick_check. SQLite 3.46 does not count the entries of a partial index any more, so
 * that is asked for. Then that the tables are there.
 */
static const struct store_check jobs_checks[] = {
        {1, "PRAGMA integrity_check(1)"},
        {1, "SELECT iif((SELECT count(*) FROM job INDEXED BY job_purchase"
            " WHERE purchase IS NOT NULL)"
            " = (SELECT count(*) FROM job NOT INDEXED WHERE purchase IS NOT NULL),"
            " 'ok', 'wrong # of entries in index job_purchase')"},
        {1, "SELECT 'ok' UNION ALL SELECT '' FROM purchase, job, charge, charge_day"},
        {2, "SELECT 'ok' UNION ALL SELECT '' FROM audit"},
        {4, "SELECT iif(count(*) = 1, 'ok', 'mark has no row') FROM mark"},
        {5, "SELECT iif(count(*) = 1, 'ok', 'audited has no row') FROM audited"},
        {0, NULL},
};

/*
 * Records are small, come often, and change what is there: a write-ahead log costs one sync for
 * each commit. Measured with records of 1 KB: pages of 8 KB are slower by 7 %, of 16 KB by 26 %.
 */
const struct store_kind store_jobs_kind = {
        .name = "jobs.db",
        .application_id = 0x736f6c76, /* "solv" */
        .version = 5,
        .steps = jobs_steps,
        .fresh = jobs_fresh,
        .page_bytes = 4096,
        /* The log is written back by ourselves, and cut to 64 MB when it is longer. */
        .settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                    "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;"
                    "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
                    "PRAGMA mmap_size = 0; PRAGMA secure_delete = FAST;"
                    "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
        .marked_since = 4,
        .checks = jobs_checks,
        .first_sql = STORE_SQL_BEGIN,
        .end_sql = STORE_SQL_BODIES_BEGIN,
};

static const char bodies_version_1[] =
        "CREATE TABLE body (purchase INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;";

static const char *const bodies_steps[] = {bodies_version_1};

/* Not the table: there may be gigabytes. Its tree is read when the bodies are listed. */
static const struct store_check bodies_checks[] = {{0, NULL}};

/*
 * Bodies are large and only come and go. In a write-ahead log each is written twice; with a
 * rollback journal only pages that held something else are, and new and free ones do not count.
 * Measured with 64 bodies of 100 KB in a transaction: 430 to 460 MB/s with a log, 800 to 930 so;
 * pages of 16 KB are as fast, of 64 KB slower by a fifth. Such a journal lets readers block a
 * writer, so the file is locked: nobody else has to do with it while the daemon runs.
 */
const struct store_kind store_bodies_kind = {
        .name = "bodies.db",
        .application_id = 0x736f6c62, /* "solb" */
        .version = 1,
        .steps = bodies_steps,
        .page_bytes = 32768,
        /* The cache has room for what a transaction writes; beyond that it costs a further sync. */
        .settings = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;"
                    "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;"
                    "PRAGMA cache_size = -24576; PRAGMA temp_store = MEMORY;"
                    "PRAGMA mmap_size = 0; PRAGMA secure_delete = FAST;"
                    "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
        .checks = bodies_checks,
        .first_sql = STORE_SQL_BODIES_BEGIN,
        .end_sql = STORE_SQL_COUNT,
};

#define PURCHASE_VALUES                                                                            \
        "INSERT INTO purchase(number, identity, host, created, state, upstream, upstream_id,"      \
        " error, text, finished, asked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"  \
        " ON CONFLICT(number) DO "

static const char *const statements[STORE_SQL_COUNT] = {
        /* At once a writer, so that the wait for another one is here and not half-way. */
        [STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
        [STORE_SQL_COMMIT] = "COMMIT",
        [STORE_SQL_TOUCH] = "PRAGMA application_id = 0x736f6c76",
        /* With the time, so that a number does not come again after an older copy was restored. */
        [STORE_SQL_MARK_END] = "UPDATE mark SET number = max(number + 1, ?1)",
        [STORE_SQL_MARK_START] = "UPDATE mark SET first = number, number = max(number + 1, ?1)",
        [STORE_SQL_PURCHASE_ADD] = PURCHASE_VALUES "NOTHING",
        [STORE_SQL_PURCHASE_MOVE] = PURCHASE_VALUES
        "UPDATE SET state = excluded.state, upstream = coalesce(excluded.upstream, upstream),"
        " upstream_id = coalesce(excluded.upstream_id, upstream_id), error = excluded.error,"
        " text = excluded.text, finished = excluded.finished,"
        " asked_at = coalesce(excluded.asked_at, asked_at)",
        [STORE_SQL_PURCHASE_PAYER] = "UPDATE purchase SET payer = ?2 WHERE number = ?1",
        [STORE_SQL_PURCHASE_WAITS] = "SELECT 1 FROM purchase WHERE number = ?1 AND state < 2",
        [STORE_SQL_PURCHASE_DROP] = "DELETE FROM purchase WHERE number = ?1 AND state >= 3"
                                    " AND NOT EXISTS (SELECT 1 FROM job WHERE job.purchase = ?1)",
        /* Without the purchase it fails: the job would be lost at the next start. */
        [STORE_SQL_JOB_ADD] =
                "INSERT INTO job(id, purchase, client, target, created, deadline, key, key_digest,"
                " address) VALUES (?1, (SELECT number FROM purchase WHERE number = ?2),"
                " ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(id) DO NOTHING",
        [STORE_SQL_JOB_END] =
                "INSERT INTO job(id, client, target, created, deadline, key, key_digest,"
                " address, state, error, text, finished)"
                " VALUES (?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
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
        [STORE_SQL_AUDIT_ADD] = "INSERT INTO audit(entry, line) VALUES (?1, ?2)",
        [STORE_SQL_AUDIT_FORGET] = "DELETE FROM audit WHERE entry <= ?1",
        [STORE_SQL_AUDIT_LAST] = "UPDATE audited SET last = ?1",
        [STORE_SQL_CHARGE_TOLD] = "SELECT 1 FROM charge WHERE purchase = ?1 AND entry IS NOT NULL"
                                  " AND attempt = (SELECT max(attempt) FROM charge"
                                  " WHERE purchase = ?1)",
        /* By the days that there are, not by today's: the clock may be wrong. It goes from day to
         * day by the key; DISTINCT would read all rows. */
        [STORE_SQL_DAY_OLD] =
                "WITH RECURSIVE latest(day, n) AS (SELECT max(day), 0 FROM charge_day UNION ALL"
                " SELECT (SELECT max(earlier.day) FROM charge_day AS earlier"
                " WHERE earlier.day < latest.day), n + 1 FROM latest"
                " WHERE n < ?1 AND day IS NOT NULL) SELECT day FROM latest WHERE n = ?1",
        [STORE_SQL_DAY_PRUNE] =
                "DELETE FROM charge_day WHERE (day, client, upstream, outcome) IN"
                " (SELECT day, client, upstream, outcome FROM charge_day WHERE day <= ?1 LIMIT ?2)",
        [STORE_SQL_UNREAD_PURCHASES] = "SELECT number, finished, 0 FROM purchase"
                                       " WHERE number > ?1 AND number <= ?2 ORDER BY number",
        [STORE_SQL_UNREAD_JOBS] =
                "SELECT seq, finished, state = 3 FROM job WHERE seq > ?1 AND seq <= ?2"
                " ORDER BY seq",
        [STORE_SQL_JOBS_DELETE] = "DELETE FROM job WHERE seq IN"
                                  " (SELECT seq FROM job WHERE purchase = ?1 LIMIT ?2)",
        [STORE_SQL_JOB_DELETE] = "DELETE FROM job WHERE seq = ?1",
        [STORE_SQL_PURCHASE_DELETE] = "DELETE FROM purchase WHERE number = ?1",
        [STORE_SQL_PURCHASE_TIME] = "UPDATE purchase SET finished = ?2 WHERE number = ?1",
        [STORE_SQL_JOB_TIME] = "UPDATE job SET finished = ?2 WHERE seq = ?1",
        [STORE_SQL_BODIES_BEGIN] = "BEGIN IMMEDIATE",
        [STORE_SQL_BODIES_COMMIT] = "COMMIT",
        [STORE_SQL_BODY_ADD] = "INSERT INTO body(purchase, bytes) VALUES (?1, ?2)"
                               " ON CONFLICT(purchase) DO NOTHING",
        [STORE_SQL_BODY_DELETE] = "DELETE FROM body WHERE purchase = ?1",
        [STORE_SQL_BODY_READ] = "SELECT bytes FROM body WHERE purchase = ?1",
};

int store_migrate(struct store_file *file)
{
        int64_t version = 0;
        char done[64];

        int r = store_number(file, "PRAGMA user_version", &version);
        for (; r == 0 && version < file->kind->version; version++) {
                (void)snprintf(done, sizeof done, "PRAGMA user_version = %d; COMMIT",
                               (int)version + 1);
                r = store_execute(file, "BEGIN IMMEDIATE");
                if (r == 0)
                        r = store_execute(file, file->kind->steps[version]);
                if (r == 0)
                        r = store_execute(file, done);
                if (r < 0)
                        store_rollback(file);
        }
        return r;
}

int store_prepare_all(struct store_file *file)
{
        for (int i = (int)file->kind->first_sql; i < (int)file->kind->end_sql; i++) {
                int code =
                        sqlite3_prepare_v3(file->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                           &file->store->sql[i], NULL);
                if (code != SQLITE_OK)
                        return store_failed(file, code);
        }
        return 0;
}
