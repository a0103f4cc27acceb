/*
 * store_open: the state directory, its lock, and the database file, which is looked at before
 * SQLite may touch it.
 */
#include "job/store_private.h"

#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE "lock"

/*
 * Measured with 64 bodies of 100 KB in a transaction, deleted one transaction later, and with
 * records of 1 KB, in ratio to the fastest: pages of 4 KB 0.80 and 1.00, of 8 KB 0.91 and 0.93, of
 * 16 KB 0.94 and 0.74. A checkpoint each 16 MB instead of 64 costs a fifth; vacuuming by steps and
 * a small cache cost nothing.
 */
#define PAGE_BYTES      8192
#define CACHE_KIBIBYTES 16384
#define WAL_BYTES_KEPT  (64 << 20) /* of the write-ahead log, between checkpoints */
#define BUSY_TIMEOUT_MS 1000       /* how long an operator's tool may hold the file */
#define HEADER_BYTES    100        /* https://www.sqlite.org/fileformat.html, section 1.3 */
#define HEADER_MAGIC    "SQLite format 3"
#define HEADER_VERSION  60
#define HEADER_OUR_ID   68

int store_errno(int code)
{
        switch (code & 0xff) { /* the rest of an extended code is detail */
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EBADMSG;
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_PROTOCOL:
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_ABORT:
        case SQLITE_INTERRUPT:
        case SQLITE_SCHEMA:
                return -EIO;
        default: /* constraints, what is too long, and the like */
                return -EPROTO;
        }
}

int store_failed(struct store *store, int code)
{
        (void)pthread_mutex_lock(&store->mutex);
        (void)snprintf(store->problem, sizeof store->problem, "%s: %s", store->path,
                       sqlite3_errmsg(store->db));
        (void)pthread_mutex_unlock(&store->mutex);
        return store_errno(code);
}

int store_run(struct store *store, enum store_sql which)
{
        sqlite3_stmt *statement = store->sql[which];
        int code = sqlite3_step(statement);
        int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : store_failed(store, code);

        (void)sqlite3_reset(statement);
        (void)sqlite3_clear_bindings(statement);
        return r;
}

int store_prepare(struct store *store, const char *sql, sqlite3_stmt **ret_statement)
{
        int code = sqlite3_prepare_v2(store->db, sql, -1, ret_statement, NULL);

        return code == SQLITE_OK ? 0 : store_failed(store, code);
}

int store_execute(struct store *store, const char *sql)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : store_failed(store, code);
}

int store_number(struct store *store, const char *sql, int64_t *ret_number)
{
        sqlite3_stmt *statement = NULL;

        int r = store_prepare(store, sql, &statement);
        if (r < 0)
                return r;
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret_number = sqlite3_column_int64(statement, 0);
        else
                r = store_failed(store, code);
        (void)sqlite3_finalize(statement);
        return r;
}

void store_rollback(struct store *store)
{
        /* Its own failure would hide what went wrong. */
        if (!sqlite3_get_autocommit(store->db))
                (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* The directory and its lock, which is held until the process ends or the store is closed. */
static int lock_directory(struct store *store, struct strbuf *problem)
{
        int r = 0;

        if (mkdir(store->directory, 0700) < 0 && errno != EEXIST)
                r = -errno;
        int directory = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) {
                r = r < 0 ? r : -errno;
                (void)strbuf_printf(problem, "the state directory %s cannot be used: %s",
                                    store->directory, strerror(-r));
                return r;
        }
        store->lock_fd =
                openat(directory, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = store->lock_fd < 0 ? -errno : 0;
        (void)close(directory);
        if (r == 0 && flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
                r = -errno;
        if (r == -EWOULDBLOCK)
                (void)strbuf_printf(problem,
                                    "the state directory %s is in use by another solvegate; give "
                                    "each its own state_directory",
                                    store->directory);
        else if (r < 0)
                (void)strbuf_printf(problem, "%s/" LOCK_FILE " cannot be locked: %s",
                                    store->directory, strerror(-r));
        return r;
}

static uint32_t read_be32(const unsigned char *bytes)
{
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
               bytes[3];
}

/* What is wrong with a file's header, or NULL. */
static const char *judge_header(const unsigned char header[static HEADER_BYTES], ssize_t len)
{
        if (len < HEADER_BYTES || memcmp(header, HEADER_MAGIC, sizeof HEADER_MAGIC) != 0)
                return "is not a database of solvegate, or is damaged";
        if (read_be32(header + HEADER_OUR_ID) != STORE_APPLICATION_ID)
                return "is a database of another program";
        if (read_be32(header + HEADER_VERSION) > STORE_VERSION)
                return "was written by a newer solvegate";
        return NULL;
}

/*
 * Looks at the file by itself: SQLite would roll back, recover or leave files beside one that is
 * not ours. Returns 0, -ENOENT when there is none, or another -errno with a sentence.
 */
static int check_file(const struct store *store, struct strbuf *problem)
{
        unsigned char header[HEADER_BYTES] = {0};
        struct stat status;
        const char *wrong = NULL;
        int fd = open(store->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0 || fstat(fd, &status) < 0) {
                wrong = strerror(errno);
        } else if (!S_ISREG(status.st_mode)) {
                wrong = "is no regular file";
        } else {
                ssize_t len = pread(fd, header, sizeof header, 0);
                wrong = len < 0 ? strerror(errno) : judge_header(header, len);
        }
        if (fd >= 0)
                (void)close(fd);
        if (!wrong)
                return 0;
        (void)strbuf_printf(problem, "%s: %s; it was left as it is, move it away to start anew",
                            store->path, wrong);
        return -EBADMSG;
}

static int say_failed(struct store *store, int r, const char *what, struct strbuf *problem)
{
        char reason[STORE_PROBLEM_BYTES];

        store_problem(store, reason, sizeof reason);
        (void)strbuf_printf(problem, "the store could not be %s: %s", what,
                            reason[0] != '\0' ? reason : strerror(-r));
        return r;
}

static int open_database(struct store *store, const char *path)
{
        /* One thread at a time uses it, so SQLite need not lock. */
        int code = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                   NULL);

        if (code != SQLITE_OK)
                return store->db ? store_failed(store, code) : -ENOMEM;
        (void)sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
        return 0;
}

static void close_database(struct store *store)
{
        for (int i = 0; i < STORE_SQL_COUNT; i++) {
                (void)sqlite3_finalize(store->sql[i]);
                store->sql[i] = NULL;
        }
        (void)sqlite3_close(store->db);
        store->db = NULL;
}

/* Fills a new file. In the usual mode of SQLite: there is one file, which is whole when closed. */
static int fill_file(struct store *store, const char *path)
{
        char settings[160];

        (void)snprintf(settings, sizeof settings,
                       "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL;"
                       "PRAGMA synchronous = FULL; PRAGMA application_id = %d",
                       PAGE_BYTES, STORE_APPLICATION_ID);
        int r = open_database(store, path);
        if (r == 0)
                r = store_execute(store, settings);
        if (r == 0)
                r = store_migrate(store);
        close_database(store);
        return r;
}

static int sync_directory(const struct store *store)
{
        int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

        if (fd >= 0)
                (void)close(fd);
        return r;
}

/* Makes the file under another name, so that under its own it is always whole. */
static int make_file(struct store *store)
{
        char *path = NULL;
        int r;

        if (asprintf(&path, "%s.new", store->path) < 0)
                return -ENOMEM;
        (void)unlink(path); /* of a start that was broken off; the directory is locked */
        /* SQLite gives its other files the mode of this one. */
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        r = fd < 0 ? -errno : 0;
        if (fd >= 0)
                (void)close(fd);
        if (r == 0)
                r = fill_file(store, path);
        if (r == 0 && rename(path, store->path) < 0)
                r = -errno;
        if (r == 0)
                r = sync_directory(store);
        if (r < 0)
                (void)unlink(path);
        free(path);
        return r;
}

static int check_table(struct store *store, const char *check)
{
        sqlite3_stmt *statement = NULL;
        int r = store_prepare(store, check, &statement);

        if (r < 0)
                return r;
        int code = sqlite3_step(statement);
        const char *text =
                code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (!text) {
                r = store_failed(store, code == SQLITE_ROW ? SQLITE_NOMEM : code);
        } else if (strcmp(text, "ok") != 0) {
                (void)snprintf(store->problem, sizeof store->problem, "%.100s is damaged: %.100s",
                               store->path, text);
                r = -EBADMSG;
        }
        (void)sqlite3_finalize(statement);
        return r;
}

/* Reads the trees of all tables but the bodies, of which there may be gigabytes. */
static int check_tables(struct store *store)
{
        static const char *const checks[] = {
                "PRAGMA quick_check(purchase)",
                "PRAGMA quick_check(job)",
                "PRAGMA quick_check(charge)",
                "PRAGMA quick_check(charge_day)",
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof checks / sizeof checks[0]; i++)
                r = check_table(store, checks[i]);
        return r;
}

/* Whether closing leaves the log as it is, in place of writing it back. */
static int keep_log(struct store *store, bool keep)
{
        int code = sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)keep, NULL);

        return code == SQLITE_OK ? 0 : store_failed(store, code);
}

static int check_version(struct store *store)
{
        int64_t version = 0;
        int r = store_number(store, "PRAGMA user_version", &version);

        if (r == 0 && version > STORE_VERSION) {
                (void)snprintf(store->problem, sizeof store->problem,
                               "%.150s was written by a newer solvegate", store->path);
                r = -EBADMSG;
        }
        return r;
}

static int set_up(struct store *store)
{
        char settings[400];

        (void)snprintf(settings, sizeof settings,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = %d;"
                       "PRAGMA cache_size = -%d; PRAGMA temp_store = MEMORY;"
                       "PRAGMA mmap_size = 0; PRAGMA secure_delete = FAST;"
                       "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
                       WAL_BYTES_KEPT, CACHE_KIBIBYTES);
        int r = store_execute(store, settings);
        if (r == 0)
                r = store_migrate(store);
        if (r == 0)
                r = store_prepare_all(store);
        return r;
}

/* Whether an earlier run has left something in the log. Without, closing removes it. */
static bool log_is_empty(const struct store *store)
{
        char *path = NULL;
        struct stat status;

        if (asprintf(&path, "%s-wal", store->path) < 0)
                return false;
        bool empty = stat(path, &status) < 0 || status.st_size == 0;
        free(path);
        return empty;
}

/* Opens the file; one that proves to be damaged is closed as it was, with its log. */
static int open_file(struct store *store)
{
        bool keep = !log_is_empty(store);
        int r = open_database(store, store->path);

        if (r == 0)
                r = keep_log(store, keep);
        if (r == 0)
                r = check_version(store);
        if (r == 0)
                r = check_tables(store);
        if (r == 0)
                r = keep_log(store, false);
        if (r == 0)
                r = set_up(store);
        return r;
}

static int new_store(const char *directory, struct store **ret_store)
{
        pthread_condattr_t monotonic;
        struct store *store = calloc(1, sizeof *store);

        if (!store)
                return -ENOMEM;
        store->lock_fd = -1;
        atomic_init(&store->next_number, 1);
        (void)pthread_mutex_init(&store->mutex, NULL);
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&store->wake, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        store->directory = strdup(directory);
        if (!store->directory || asprintf(&store->path, "%s/" STORE_FILE, directory) < 0) {
                store->path = NULL;
                store_done(store);
                return -ENOMEM;
        }
        *ret_store = store;
        return 0;
}

void store_done(struct store *store)
{
        if (store->db)
                close_database(store);
        if (store->lock_fd >= 0)
                (void)close(store->lock_fd);
        (void)pthread_cond_destroy(&store->wake);
        (void)pthread_mutex_destroy(&store->mutex);
        free(store->path);
        free(store->directory);
        free(store);
}

int store_open(const char *directory, struct store **ret_store, struct strbuf *problem)
{
        struct store *store = NULL;

        int r = new_store(directory, &store);
        if (r < 0) {
                (void)strbuf_puts(problem, strerror(-r));
                return r;
        }
        r = lock_directory(store, problem);
        if (r == 0) {
                r = check_file(store, problem);
                if (r == -ENOENT && (r = make_file(store)) < 0)
                        (void)say_failed(store, r, "made", problem);
                else if (r == 0 && (r = open_file(store)) < 0)
                        (void)say_failed(store, r, "opened", problem);
        }
        if (r < 0) {
                store_done(store);
                return r;
        }
        *ret_store = store;
        return 0;
}
