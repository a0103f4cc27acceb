/*
 * store_private: what the files of the embedded store share. See sqlite_store.h.
 *
 *   sqlite_store.c  the writer's thread, the table of functions
 *   store_queue.c   in which order records are written
 *   store_bodies.c  the bodies: written, read, deleted
 *   store_apply.c   what a record does to the tables of jobs.db
 *   store_audit.c   entries on their way to the audit file
 *   store_load.c    reading everything at start
 *   store_survey.c  which rows to read
 *   store_ledger.c  the sums of charges
 *   store_restore.c charges that the database has lost, from the audit file
 *   store_open.c    the directory, its lock, and which files must be there
 *   store_log.c     when the write-ahead log is written back
 *   store_watch.c   whether the files are still at their paths
 *   store_forget.c  deletions, which have time
 *   store_file.c    one file: looked at, made, opened; SQLite's calls
 *   store_schema.c  the tables, the settings, the statements of each file
 */
#ifndef SOLVEGATE_STORE_SQLITE_STORE_PRIVATE_H
#define SOLVEGATE_STORE_SQLITE_STORE_PRIVATE_H

#include "store/backend.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STORE_DAYS_KEPT     800                /* of charge_day */
#define STORE_NUMBER_MAX    (INT64_C(1) << 61) /* of a purchase, or an entry */
#define STORE_PROBLEM_BYTES 256

#define STORE_LOCK_FILE "lock"

#define STORE_BATCH_STEPS 512  /* of one transaction: records, and jobs that end by themselves */
#define STORE_BATCH_ROWS  1024 /* likewise: that it changes; a record with more goes alone */
#define STORE_FORGET_ROWS 256  /* likewise: deletions */

#define STORE_PROGRESS_ROWS 4096 /* from one call of progress() to the next */

/*
 * Bodies that go are deleted so many in a transaction. Before a batch there are fewer than that; it
 * adds one for each of its steps, and one more for each record that fails.
 */
#define STORE_DROPS     128
#define STORE_DROPS_MAX (STORE_DROPS + 2 * STORE_BATCH_STEPS)

/* Prepared once, in store_schema.c. */
enum store_sql {
        STORE_SQL_BEGIN,
        STORE_SQL_COMMIT,
        STORE_SQL_TOUCH,    /* changes nothing, and is written all the same */
        STORE_SQL_MARK_END, /* of a log, and of the next one; see jobs_version_4 */
        STORE_SQL_MARK_START,
        STORE_SQL_PURCHASE_ADD,
        STORE_SQL_PURCHASE_MOVE,
        STORE_SQL_PURCHASE_PAYER,
        STORE_SQL_PURCHASE_WAITS,
        STORE_SQL_PURCHASE_DROP,
        STORE_SQL_JOB_ADD,
        STORE_SQL_JOB_END,
        STORE_SQL_JOB_FORGET,
        STORE_SQL_CHARGE_OPEN,
        STORE_SQL_CHARGE_SETTLE,
        STORE_SQL_CHARGE_FOLD,
        STORE_SQL_CHARGE_DELETE,
        STORE_SQL_AUDIT_ADD,
        STORE_SQL_AUDIT_FORGET,
        STORE_SQL_AUDIT_LAST,  /* the highest number of an entry */
        STORE_SQL_CHARGE_TOLD, /* whether the audit file has the last attempt's entry already */
        STORE_SQL_DAY_OLD,     /* the latest of the days that are too old */
        STORE_SQL_DAY_PRUNE,
        STORE_SQL_UNREAD_PURCHASES,
        STORE_SQL_UNREAD_JOBS,
        STORE_SQL_JOBS_DELETE, /* of a purchase */
        STORE_SQL_JOB_DELETE,
        STORE_SQL_PURCHASE_DELETE,
        STORE_SQL_PURCHASE_TIME,
        STORE_SQL_JOB_TIME,
        /* from here on of bodies.db */
        STORE_SQL_BODIES_BEGIN,
        STORE_SQL_BODIES_COMMIT,
        STORE_SQL_BODY_ADD,
        STORE_SQL_BODY_DELETE,
        STORE_SQL_BODY_READ,
        STORE_SQL_COUNT,
};

struct store_check {
        int since; /* the version from which on there is something to check */
        const char *sql;
};

/* What is the same in all files of one kind. In store_schema.c. */
struct store_kind {
        const char *name;
        int application_id;
        int version;
        const char *const *steps; /* steps[n] leads from version n to n + 1 */
        const char *fresh;        /* for a new file, after the steps; or NULL */
        int page_bytes;
        const char *settings;             /* each time it is opened */
        int marked_since;                 /* the version that has mark; 0 where there is no log */
        const struct store_check *checks; /* what has to answer "ok"; up to a NULL sql */
        enum store_sql first_sql, end_sql;
};

extern const struct store_kind store_jobs_kind, store_bodies_kind;

/* One database. Used by the thread that opened the store, and by the writer once it runs. */
struct store_file {
        struct sqlite_store *store;
        const struct store_kind *kind;
        char *path;
        sqlite3 *db;
        bool slack; /* there may be free pages to give back to the file system */
};

/* How far the entries for the audit file are. A roll-back takes it back, too. */
struct store_entries {
        int64_t next;      /* the number of the next one */
        int64_t forgotten; /* up to this one the table has none */
        int64_t noted;     /* the highest that the table "audited" says there was */
};

/* What is compared with its path. Of the first ones a descriptor is kept. */
enum {
        STORE_WATCH_DIRECTORY,
        STORE_WATCH_JOBS,
        STORE_WATCH_BODIES,
        STORE_WATCH_LOG,
        STORE_WATCH_INDEX,
        STORE_WATCH_JOURNAL,
        STORE_WATCH_LOCK,
        STORE_WATCH_FILES,
};

struct store_watched {
        char *path;
        int fd; /* O_PATH, or -1 */
        bool known;
        dev_t device; /* valid when known */
        ino_t inode;  /* likewise */
};

struct store_watch {
        pthread_mutex_t mutex; /* outside of the store's */
        /* guarded by mutex once the writer runs */
        struct store_watched files[STORE_WATCH_FILES];
        bool note_log; /* the lock was created again: the writer has to write the mark into it */

        _Atomic int64_t look_at_ms; /* monotonic: when to look again */
        _Atomic bool lock_made;     /* the lock was created again, which was not reported yet */
        _Atomic enum store_loss loss;
};

/* The numbers of the purchases that a filter lets through, both inclusive. One that begins with 0
 * lets through rows without a number as well: jobs that ended by themselves, and charges of jobs
 * that are gone, counted by day. */
struct store_range {
        int64_t first, last;
};

struct store_deletion; /* IDs whose rows are to be deleted */

/* Of what is final. In this order in the statements, too. */
enum store_class {
        STORE_MAY_BE_PAID,
        STORE_CACHED, /* it was answered from the cache: solved, and without a purchase */
        STORE_CLASSES,
};

/* What an earlier run has left, and was not read since it finished up to a time. Above the first
 * numbers and up to the last ones. */
struct store_sweep {
        int64_t finished_ms[STORE_CLASSES]; /* wall clock */
        int64_t now_ms; /* likewise: what finished later did so by a clock that was ahead */
        int64_t number, number_end; /* of purchases */
        int64_t seq, seq_end;       /* of jobs that ended by themselves */
};

struct store_forget {
        /* guarded by the store's mutex; only the writer takes something off */
        struct store_deletion *list;
        size_t done; /* IDs of the first one */

        /* the writer's */
        const char *ids[STORE_FORGET_ROWS]; /* those that the transaction deletes */
        size_t count;
        struct store_sweep sweep, next; /* as it is, and when the transaction succeeds */
        int64_t pruned_day;             /* likewise */
};

struct sqlite_store {
        struct store base;
        char *directory;
        int lock_fd;

        /* the thread's that opened the store, and the writer's once it runs */
        struct store_file jobs, bodies;
        sqlite3_stmt *sql[STORE_SQL_COUNT];
        struct store_audit audit; /* without functions: no record may have an entry */
        struct store_entries entries;
        struct store_watch watch;
        int64_t load_offset_ms; /* valid in store_load(): between the clocks, for all jobs */
        bool log_lost;          /* the last run used another log than that which was found */
        bool has_early_entry;   /* there may be a charge whose entry is in the audit file before its
                                   end */
        bool audit_behind;      /* one was not taken: they are to be given again */
        int64_t forget_at_ms;   /* monotonic: when to look which are in the file; valid with some */
        int64_t release_at_ms;  /* monotonic: when to empty SQLite's page caches; 0: they stay */
        int wal_pages;          /* in the write-ahead log after the last commit */
        int checkpoint_at_pages; /* when to write them back */
        int64_t pruned_day;      /* when charge_day was last pruned */
        struct store_forget forget;
        bool swept;          /* the last transaction of deletions alone was the sweep's turn */
        unsigned busy_turns; /* with a record or a fetch, since the last one without */
        size_t lost;         /* records given up */
        int64_t drops[STORE_DROPS_MAX]; /* purchases whose bodies may go */
        size_t drop_count;
        int64_t drop_at_ms; /* monotonic: when to delete them at the latest; valid with some */

        _Atomic int64_t next_number;
        _Atomic bool unhealthy; /* changed under mutex */
        _Atomic bool detached;  /* changed under the watch's mutex */
        bool started;
        pthread_t thread;

        pthread_mutex_t mutex; /* a leaf, but for mailboxes' */
        pthread_cond_t wake;   /* monotonic */
        /* guarded by mutex */
        struct store_item *items; /* all that wait or are taken, by order; while unhealthy there is
                                     no record among them that may fail */
        struct store_item *queue; /* those that are served first */
        struct store_line *lines; /* those that have something, in the order of their turns */
        struct store_line line;   /* the common one, for records without */
        uint64_t order;           /* of the next item or deletion */
        bool giving_up;
        _Atomic bool closing;
        int64_t retry_at_ms; /* monotonic; valid while unhealthy */
        int last_error;      /* valid while unhealthy: the error of records that may fail */
        char problem[STORE_PROBLEM_BYTES];
};

/* ---- the functions of the table, in the files below (see store.h) ---- */

extern const struct store_backend sqlite_backend;

static inline struct sqlite_store *sqlite_store_of(struct store *base)
{
        return (struct sqlite_store *)base; /* its first member */
}

void sqlite_set_audit(struct store *base, const struct store_audit *audit);
int sqlite_load(struct store *base, const struct store_filter *filter,
                int64_t finished_after_wall_ms, const struct store_visitor *visitor,
                struct strbuf *problem);
int sqlite_ledger(struct store *base, const struct store_filter *filter,
                  void (*row)(void *arg, const struct store_ledger_row *row), void *arg);
int sqlite_usage(struct store *base, const struct store_filter *filter,
                 void (*row)(void *arg, const struct store_usage_row *row), void *arg);
int sqlite_forget(struct store *base, const struct job *gone);
bool sqlite_forgets(struct store *base);
void sqlite_problem(struct store *base, char *ret_text, size_t size);
void sqlite_look(struct store *base);
int sqlite_last_entry(struct store *base, int64_t *ret_entry);
bool sqlite_log_is_lost(struct store *base);
int sqlite_restore(struct store *base, const struct store_losses *losses,
                   struct store_restored *ret_restored);

/* ---- store_queue.c ---- */

/* Gives an item its place. */
void store_queue_add_locked(struct sqlite_store *store, struct store_item *item);

/* Takes the records of the next transaction, within its bounds, or NULL: there are none before the
 * next fetch. *ret_rows: how many rows they may add or change, about. */
struct store_item *store_queue_take_locked(struct sqlite_store *store, size_t *ret_rows);

/* Whether a body is to be read next. */
bool store_queue_fetches_locked(const struct sqlite_store *store);

/* Takes that fetch, or returns NULL. */
struct store_fetch *store_queue_take_fetch_locked(struct sqlite_store *store);

/* Notes in each record of a batch whether its body is written: not if a later record without an
 * error drops the purchase, or says that it is accepted or final, nor if an earlier one without an
 * error brings the same body. Thread: the writer's. */
void store_queue_mark_bodies(struct store_item *batch);

/* A batch was written: it does not count as waiting any more. */
void store_queue_done_locked(struct sqlite_store *store, struct store_item *batch);

/* A batch was not written: it is the first in the queue, without errors. */
void store_queue_return_locked(struct sqlite_store *store, struct store_item *batch);

/* Moves the records that may fail, of the batch and of all that wait, to the end of a list; with
 * must_too, the rest of the batch as well. */
void store_queue_give_up_locked(struct sqlite_store *store, struct store_item **batch,
                                struct store_item **given_up, bool must_too);

/* The order of the oldest record or fetch that is not taken, or UINT64_MAX. */
uint64_t store_queue_oldest_locked(const struct sqlite_store *store);

/* ---- store_file.c ---- */

/* Sets what store_problem() says. */
void store_set_problem(struct sqlite_store *store, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Keeps SQLite's message for store_problem(). Returns 0 or -errno for the code; -EPROTO when it is
 * no fault of the environment. */
int store_failed(struct store_file *file, int code);

/* Runs a statement that returns no row, and unbinds it. Returns 0 or -errno. */
int store_run(struct sqlite_store *store, enum store_sql which);

/* The same with its first parameter. */
int store_run_for(struct sqlite_store *store, enum store_sql which, int64_t number);

/* Goes to the next row of one that was prepared. Returns 1, 0 when there is none, or -errno. */
int store_step(struct store_file *file, sqlite3_stmt *statement);

/* Prepares one for a single use. Returns 0 or -errno. */
int store_prepare(struct store_file *file, const char *sql, sqlite3_stmt **ret_statement);

/* Runs statements without parameters or rows. Returns 0 or -errno. */
int store_execute(struct store_file *file, const char *sql);

/* Reads one number. Returns 0 or -errno. */
int store_number(struct store_file *file, const char *sql, int64_t *ret_number);

/* Rolls back whatever SQLite has not rolled back by itself. */
void store_rollback(struct store_file *file);

/*
 * Looks at a file by itself: SQLite would roll back, recover or leave files beside one that is not
 * ours. Returns 0, -ENOENT when there is none, or another -errno with a sentence.
 */
int store_file_check(const struct store_file *file, struct strbuf *problem);

/* Makes a file; under its own name it is always whole. Returns 0 or -errno. */
int store_file_make(struct store_file *file);

/* Opens one that was checked, brings it up to date, and prepares its statements. One that proves to
 * be damaged is closed as it was. Returns 0 or -errno. */
int store_file_open(struct store_file *file);

/* Whether closing leaves the log where it is, in place of writing it back and removing it. Returns
 * 0 or -errno. */
int store_file_keep_log(struct store_file *file, bool keep);

/* Gives some free pages back to the file system, if there are too many; notes whether there may be
 * more of them. */
void store_file_give_back(struct store_file *file);

/* Takes one that is not open. */
void store_file_close(struct store_file *file);

/* ---- store_open.c ---- */

/*
 * Writes to the lock's file the number that the log in use begins with (see jobs_version_4). The
 * next start compares it with the database: one with a lower number has lost its log. Not synced,
 * and ignored where it fails: then a loss may not be noticed.
 */
void store_note_log(struct sqlite_store *store);

/* ---- store_log.c ---- */

/* Writes back what an earlier run and the loading have left; from now on the log is counted. */
void store_log_begin(struct sqlite_store *store);

/* Writes the log back with its marks. Returns whether all of it is. If a mark cannot be written, a
 * file that is exchanged after a crash may not be noticed. */
bool store_log_checkpoint(struct sqlite_store *store);

/* After a commit: writes the log back if it has grown long enough. */
void store_log_grown(struct sqlite_store *store);

/* Before a transaction: a log that is too long is not made longer, not by a mark either; this comes
 * with each retry. Returns 0 or -errno. */
int store_log_check(struct sqlite_store *store);

/* ---- store_watch.c ---- */

void store_watch_init(struct store_watch *watch);

/* Remembers which files were opened. Returns 0 or -errno. */
int store_watch_begin(struct sqlite_store *store);

/* store_look(), and writes the mark into a lock that was created again. Thread: the one that opened
 * the store, and the writer once it runs. */
void store_watch_look(struct sqlite_store *store);

/* Takes one that store_watch_begin() was not called for. */
void store_watch_done(struct store_watch *watch);

/* ---- store_schema.c ---- */

/* Brings the tables up to date. Returns 0 or -errno. */
int store_migrate(struct store_file *file);

/* Prepares all of enum store_sql that are of the file. Returns 0 or -errno. */
int store_prepare_all(struct store_file *file);

/* ---- store_apply.c ---- */

/* Writes a record inside a transaction of jobs.db, and numbers its entry. Returns 0, -EPROTO or
 * another -errno of the environment. */
int store_apply(struct sqlite_store *store, struct store_record *record);

/* Whether a purchase may still need its body. Returns 0 or -errno. */
int store_purchase_waits(struct sqlite_store *store, int64_t number, bool *ret_waits);

/* Deletes a job by its ID, and its purchase if no other job needs it. Returns 0 or -errno. */
int store_forget_id(struct sqlite_store *store, const char *id);

/* Deletes a purchase that is final and that no job needs; what it cost stays, counted by day.
 * Returns 0 or -errno. */
int store_drop_unneeded(struct sqlite_store *store, int64_t number);

/* ---- store_forget.c ---- */

/* Notes which rows were not read. Before the writer runs. */
void store_forget_unread(struct sqlite_store *store, const struct store_sweep *sweep);

/* Looks whether days of the ledger are too old, so that the writer has nothing to do at the start
 * where none is. Before the writer runs. Returns 0 or -errno. */
int store_forget_look(struct sqlite_store *store);

/* Whether there is something to delete. */
bool store_forget_waits_locked(const struct sqlite_store *store);

/* The same of what has no list: unread rows and old days. Thread: the writer's. */
bool store_forget_sweeps(const struct sqlite_store *store);

/* Takes some deletions for the next transaction: beside so many rows of records, or none with 0. */
void store_forget_take_locked(struct sqlite_store *store, size_t rows);

/* Does those that were taken inside a transaction; or, where there are none and it is alone, a step
 * of the others. Returns 0, -errno, or -EAGAIN: to be tried again, without one that is impossible.
 */
int store_forget_apply(struct sqlite_store *store, bool alone);

/* The transaction has succeeded. */
void store_forget_committed(struct sqlite_store *store);

/* Frees what is left. */
void store_forget_done(struct sqlite_store *store);

/* ---- store_load.c ---- */

/* All that a filter lets through; with NULL everything. */
struct store_range store_range_of(const struct store_filter *filter);

/* Binds its two numbers, the first one at a parameter. */
void store_bind_range(sqlite3_stmt *statement, int at, struct store_range range);

/* ---- store_survey.c ---- */

struct store_survey {
        int64_t now_ms;                           /* wall clock */
        int64_t finished_after_ms[STORE_CLASSES]; /* of what is final, that which finished later is
                                                     read */
        int64_t rows;              /* purchases, and jobs that ended by themselves, to be read */
        int64_t final, final_read; /* those that are final: all, and of the ones to be read */
        int64_t last_finished_ms;  /* the latest time of the end */
        int64_t last_number, last_seq; /* the highest of all purchases, and of such jobs */
};

/* Finds which rows of a range to read. Returns 0 or -errno. */
int store_survey(struct sqlite_store *store, struct store_range range, int64_t finished_after_ms,
                 const struct store_visitor *visitor, struct store_survey *ret_survey);

/* ---- store_audit.c ---- */

/* Writes a record's entry, if it has one, inside a transaction, and numbers it. Returns 0, -EPROTO
 * or another -errno. */
int store_audit_add(struct sqlite_store *store, struct store_record *record);

/* Notes, inside a transaction, the highest number that was given to an entry. Returns 0 or -errno.
 */
int store_audit_note(struct sqlite_store *store);

/* Deletes, inside a transaction, the entries that are in the file by now. Returns 0 or -errno. */
int store_audit_forget(struct sqlite_store *store);

/* The same in a transaction of its own. What fails is done by a later one. */
void store_audit_tidy(struct sqlite_store *store);

/* Whether entries may be left in the table. */
bool store_audit_waits(const struct sqlite_store *store);

/* Gives the audit the entries of a batch, which is committed. */
void store_audit_tell(struct sqlite_store *store, struct store_item *batch);

/* Gives the audit what an earlier run has left, and deletes what is in the file. Returns 0 or
 * -errno. */
int store_audit_load(struct sqlite_store *store);

/* ---- store_bodies.c ---- */

/*
 * Writes the bodies of those of a batch that need it and have no error, in a transaction of its
 * own. Requires store_queue_mark_bodies(). Returns 0
 * or -errno; on -EPROTO, *ret_faulty is whose fault it is.
 */
int store_bodies_write(struct sqlite_store *store, struct store_item *batch,
                       struct store_record **ret_faulty);

/* Notes that a body may go. Whose purchase waits when it is its turn stays. */
void store_bodies_note(struct sqlite_store *store, int64_t number);

/* Deletes some of those noted, in a transaction of its own. Returns 0 or -errno. */
int store_bodies_drop(struct sqlite_store *store);

/* Returns 0, -ENOENT or another -errno. */
int store_bodies_read(struct sqlite_store *store, struct store_fetch *fetch);

/* Makes a table in memory, temp.stored(number), of the bodies in a range that are there. It reads
 * the leaves of the table and no body: 10,000 of 100 KB in 0.15 s. Tells the visitor, or NULL, that
 * it goes on. Returns 0 or -errno. */
int store_bodies_list(struct sqlite_store *store, struct store_range range,
                      const struct store_visitor *visitor);

/* Deletes bodies that no purchase waits for: those of a run that ended before it could. Needs
 * temp.stored, and deletes it. Returns 0 or -errno. */
int store_bodies_drop_orphans(struct sqlite_store *store);

/* ---- store_open.c ---- */

/* Closes and frees; half-opened ones too. */
void store_done(struct sqlite_store *store);

#endif
