/*
 * store_private: what the files of the store share. See store.h.
 *
 *   store.c         the queue and the writer's thread
 *   store_open.c    the directory, the lock, the file; SQLite's settings
 *   store_schema.c  the tables, and the steps from one version to the next
 *   store_apply.c   what a record does to the tables
 *   store_load.c    reading everything at start
 */
#ifndef SOLVEGATE_JOB_STORE_PRIVATE_H
#define SOLVEGATE_JOB_STORE_PRIVATE_H

#include "job/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_FILE           "jobs.db"
#define STORE_APPLICATION_ID 0x736f6c76 /* "solv" */
#define STORE_VERSION        1

#define STORE_DAY_MS        (24 * 60 * 60 * INT64_C(1000))
#define STORE_DAYS_KEPT     800 /* of charge_day */
#define STORE_PROBLEM_BYTES 256

/* Prepared once, in store_schema.c. */
enum store_sql {
        STORE_SQL_BEGIN,
        STORE_SQL_COMMIT,
        STORE_SQL_TOUCH, /* changes nothing, and is written all the same */
        STORE_SQL_PURCHASE_ADD,
        STORE_SQL_PURCHASE_MOVE,
        STORE_SQL_PURCHASE_DROP,
        STORE_SQL_BODY_ADD,
        STORE_SQL_BODY_DELETE,
        STORE_SQL_BODY_READ,
        STORE_SQL_JOB_ADD,
        STORE_SQL_JOB_END,
        STORE_SQL_JOB_FORGET,
        STORE_SQL_CHARGE_OPEN,
        STORE_SQL_CHARGE_SETTLE,
        STORE_SQL_CHARGE_FOLD,
        STORE_SQL_CHARGE_DELETE,
        STORE_SQL_DAY_PRUNE,
        STORE_SQL_COUNT,
};

struct store {
        char *directory;
        char *path; /* of the database */
        int lock_fd;

        /* the thread's that opened the store, and the writer's once it runs */
        sqlite3 *db;
        sqlite3_stmt *sql[STORE_SQL_COUNT];
        int wal_pages;           /* in the write-ahead log after the last commit */
        int checkpoint_at_pages; /* when to write them back */
        int64_t pruned_day;      /* when charge_day was last pruned */
        bool slack;              /* there may be free pages to give back to the file system */
        size_t lost;             /* records given up */

        _Atomic int64_t next_number;
        _Atomic bool sick; /* changed under mutex */
        bool started;
        pthread_t thread;

        pthread_mutex_t mutex; /* a leaf, but for mailboxes' */
        pthread_cond_t wake;   /* monotonic */
        /* guarded by mutex */
        struct store_item *queue; /* while sick it has no record that may fail */
        bool giving_up;
        _Atomic bool closing;
        int64_t retry_at_ms; /* monotonic; valid while sick */
        int sick_error;      /* valid while sick: what records that may fail are told */
        char problem[STORE_PROBLEM_BYTES];
};

/* 0 or -errno for what SQLite returns; -EPROTO when it is no fault of the environment. */
int store_errno(int code);

/* Keeps SQLite's message for store_problem(). Returns store_errno(code). */
int store_failed(struct store *store, int code);

/* Runs a statement that returns no row, and unbinds it. Returns 0 or -errno. */
int store_run(struct store *store, enum store_sql which);

/* Prepares one for a single use. Returns 0 or -errno. */
int store_prepare(struct store *store, const char *sql, sqlite3_stmt **ret_statement);

/* Runs statements without parameters or rows. Returns 0 or -errno. */
int store_execute(struct store *store, const char *sql);

/* Reads one number. Returns 0 or -errno. */
int store_number(struct store *store, const char *sql, int64_t *ret_number);

/* Rolls back whatever SQLite has not rolled back by itself. */
void store_rollback(struct store *store);

/* Brings the tables up to STORE_VERSION. Returns 0 or -errno. */
int store_migrate(struct store *store);

/* Prepares all of enum store_sql. Returns 0 or -errno. */
int store_prepare_all(struct store *store);

/* Writes a record inside a transaction. Returns 0, -EPROTO or another -errno of the environment. */
int store_apply(struct store *store, const struct store_record *record);

/* Deletes days of charge_day that are too old, once a day. Returns 0 or -errno. */
int store_prune_days(struct store *store);

/* Closes and frees; half-opened ones too. */
void store_done(struct store *store);

#endif
