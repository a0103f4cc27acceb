/*
 * store_file: one of the store's databases: looked at before SQLite may touch it, made, opened; and
 * SQLite's calls with our errors.
 */
#include "store/sqlite/store_private.h"

#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 1000 /* how long an operator's tool may hold the file */
#define HEADER_BYTES    100  /* https://www.sqlite.org/fileformat.html, section 1.3 */
#define HEADER_MAGIC    "SQLite format 3"
#define HEADER_VERSION  60
#define HEADER_OUR_ID   68
#define URI_BYTES_MAX   16384 /* of a path, at three for each byte */

/*
 * Free pages are given back where they are more than half of a file, and more than these bytes. A
 * step, which a record may have to wait for, takes 30 ms at most.
 */
#define SLACK_BYTES_MIN  (64 << 20)
#define SLACK_BYTES_STEP (8 << 20)

/* 0 or -errno for what SQLite returns. */
static int errno_of(int code)
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

void store_set_problem(struct sqlite_store *store, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)pthread_mutex_lock(&store->mutex);
        (void)vsnprintf(store->problem, sizeof store->problem, format, arguments);
        (void)pthread_mutex_unlock(&store->mutex);
        va_end(arguments);
}

int store_failed(struct store_file *file, int code)
{
        store_set_problem(file->store, "%s: %s", file->path, sqlite3_errmsg(file->db));
        return errno_of(code);
}

int store_step(struct store_file *file, sqlite3_stmt *statement)
{
        int code = sqlite3_step(statement);

        if (code == SQLITE_ROW)
                return 1;
        return code == SQLITE_DONE ? 0 : store_failed(file, code);
}

int store_run(struct sqlite_store *store, enum store_sql which)
{
        sqlite3_stmt *statement = store->sql[which];
        struct store_file *file = which < store->jobs.kind->end_sql ? &store->jobs : &store->bodies;
        int r = store_step(file, statement);

        (void)sqlite3_reset(statement);
        (void)sqlite3_clear_bindings(statement);
        return r < 0 ? r : 0;
}

int store_run_for(struct sqlite_store *store, enum store_sql which, int64_t number)
{
        (void)sqlite3_bind_int64(store->sql[which], 1, number);
        return store_run(store, which);
}

int store_prepare(struct store_file *file, const char *sql, sqlite3_stmt **ret_statement)
{
        int code = sqlite3_prepare_v2(file->db, sql, -1, ret_statement, NULL);

        return code == SQLITE_OK ? 0 : store_failed(file, code);
}

int store_execute(struct store_file *file, const char *sql)
{
        int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : store_failed(file, code);
}

int store_number(struct store_file *file, const char *sql, int64_t *ret_number)
{
        sqlite3_stmt *statement = NULL;

        int r = store_prepare(file, sql, &statement);
        if (r < 0)
                return r;
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret_number = sqlite3_column_int64(statement, 0);
        else
                r = store_failed(file, code);
        (void)sqlite3_finalize(statement);
        return r;
}

void store_rollback(struct store_file *file)
{
        /* Its own failure would hide what went wrong. */
        if (!sqlite3_get_autocommit(file->db))
                (void)sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
}

static uint32_t read_be32(const unsigned char *bytes)
{
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
               bytes[3];
}

/* What is wrong with a file's header, or NULL. */
static const char *judge_header(const struct store_kind *kind,
                                const unsigned char header[static HEADER_BYTES], ssize_t len)
{
        if (len < HEADER_BYTES || memcmp(header, HEADER_MAGIC, sizeof HEADER_MAGIC) != 0)
                return "is not a database of solvegate, or is damaged";
        if (read_be32(header + HEADER_OUR_ID) != (uint32_t)kind->application_id)
                return "is a database of another program";
        if (read_be32(header + HEADER_VERSION) > (uint32_t)kind->version)
                return "was written by a newer solvegate: start that version";
        return NULL;
}

int store_file_check(const struct store_file *file, struct strbuf *problem)
{
        unsigned char header[HEADER_BYTES] = {0};
        struct stat status;
        const char *wrong = NULL;
        int fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0 || fstat(fd, &status) < 0) {
                wrong = strerror(errno);
        } else if (!S_ISREG(status.st_mode)) {
                wrong = "is no regular file";
        } else {
                ssize_t len = pread(fd, header, sizeof header, 0);
                wrong = len < 0 ? strerror(errno) : judge_header(file->kind, header, len);
        }
        if (fd >= 0)
                (void)close(fd);
        if (!wrong)
                return 0;
        (void)strbuf_printf(problem, "%s: %s; it was left as it is, move it away to start anew",
                            file->path, wrong);
        return -EBADMSG;
}

static int open_database(struct store_file *file, const char *path)
{
        /* One thread at a time uses it, so SQLite need not lock. */
        int code =
                sqlite3_open_v2(path, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

        if (code != SQLITE_OK)
                return file->db ? store_failed(file, code) : -ENOMEM;
        (void)sqlite3_busy_timeout(file->db, BUSY_TIMEOUT_MS);
        return 0;
}

void store_file_close(struct store_file *file)
{
        for (int i = (int)file->kind->first_sql; i < (int)file->kind->end_sql; i++) {
                (void)sqlite3_finalize(file->store->sql[i]);
                file->store->sql[i] = NULL;
        }
        (void)sqlite3_close(file->db);
        file->db = NULL;
}

/* Fills a new file. In the usual mode of SQLite: there is one file, which is whole when closed. */
static int fill_file(struct store_file *file, const char *path)
{
        char settings[160];

        (void)snprintf(settings, sizeof settings,
                       "PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL;"
                       "PRAGMA synchronous = FULL; PRAGMA application_id = %d",
                       file->kind->page_bytes, file->kind->application_id);
        int r = open_database(file, path);
        if (r == 0)
                r = store_execute(file, settings);
        if (r == 0)
                r = store_migrate(file);
        if (r == 0 && file->kind->fresh)
                r = store_execute(file, file->kind->fresh);
        store_file_close(file);
        return r;
}

static int sync_directory(const struct sqlite_store *store)
{
        int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

        if (fd >= 0)
                (void)close(fd);
        return r;
}

int store_file_make(struct store_file *file)
{
        char *path = NULL;
        int r;

        if (asprintf(&path, "%s.new", file->path) < 0)
                return -ENOMEM;
        (void)unlink(path); /* of a start that was broken off; the directory is locked */
        /* SQLite gives its other files the mode of this one. */
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        r = fd < 0 ? -errno : 0;
        if (fd >= 0)
                (void)close(fd);
        if (r == 0)
                r = fill_file(file, path);
        if (r == 0 && rename(path, file->path) < 0)
                r = -errno;
        if (r == 0)
                r = sync_directory(file->store);
        if (r < 0)
                (void)unlink(path);
        free(path);
        return r;
}

static int check_table(struct store_file *file, const char *check)
{
        sqlite3_stmt *statement = NULL;
        int r = store_prepare(file, check, &statement);

        if (r < 0)
                return r;
        int code = sqlite3_step(statement);
        const char *text =
                code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (!text) {
                r = store_failed(file, code == SQLITE_ROW ? SQLITE_NOMEM : code);
        } else if (strcmp(text, "ok") != 0) {
                const char *line = strchr(text, '\n'); /* the first says only which database */
                store_set_problem(file->store, "%.100s is damaged, and was left as it is: %.80s",
                                  file->path, line ? line + 1 : text);
                r = -EBADMSG;
        }
        (void)sqlite3_finalize(statement);
        return r;
}

/* Those that a file of this version has. */
static int check_tables(struct store_file *file, int64_t version)
{
        int r = 0;

        for (const struct store_check *check = file->kind->checks; r == 0 && check->sql; check++) {
                if (version >= check->since)
                        r = check_table(file, check->sql);
        }
        return r;
}

int store_file_keep_log(struct store_file *file, bool keep)
{
        int code = sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)keep, NULL);

        return code == SQLITE_OK ? 0 : store_failed(file, code);
}

static int check_version(struct store_file *file, int64_t *ret_version)
{
        int64_t version = 0;
        int r = store_number(file, "PRAGMA user_version", &version);

        if (r == 0 && version > file->kind->version) {
                store_set_problem(file->store, "%.150s was written by a newer solvegate",
                                  file->path);
                r = -EBADMSG;
        }
        if (r == 0)
                *ret_version = version;
        return r;
}

/*
 * What the file says by itself, without its log. Returns whether it says anything. Where it was
 * half written, there may be rows of another table in the place of mark's, so the types are looked
 * at.
 */
static bool read_mark_alone(const struct store_file *file, int64_t *ret_number)
{
        const char *sql = "SELECT number FROM mark WHERE typeof(first) = 'integer'"
                          " AND typeof(number) = 'integer'";
        sqlite3 *alone = NULL;
        sqlite3_stmt *statement = NULL;
        struct strbuf uri;
        bool found = false;

        strbuf_init(&uri, URI_BYTES_MAX);
        int r = strbuf_puts(&uri, "file:");
        for (const char *c = file->path; r == 0 && *c != '\0'; c++)
                r = strbuf_printf(&uri, "%%%02x", (unsigned char)*c);
        if (r == 0)
                r = strbuf_puts(&uri, "?immutable=1");
        if (r == 0 &&
            sqlite3_open_v2(uri.data, &alone, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) ==
                    SQLITE_OK &&
            sqlite3_prepare_v2(alone, sql, -1, &statement, NULL) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW) {
                *ret_number = sqlite3_column_int64(statement, 0);
                found = true;
        }
        (void)sqlite3_finalize(statement);
        (void)sqlite3_close(alone);
        strbuf_done(&uri);
        return found;
}

/*
 * Whether a log is the file's own. SQLite does not look: it would put pages of one time among those
 * of another. What cannot be read of the file by itself may have been half written, which the log
 * mends, or is from before there were marks.
 */
static int check_log_is_own(struct store_file *file)
{
        sqlite3_stmt *statement = NULL;
        int64_t number;

        if (!read_mark_alone(file, &number))
                return 0;
        int r = store_prepare(file, "SELECT 1 FROM mark WHERE ?1 BETWEEN first AND number",
                              &statement);
        if (r < 0)
                return r;
        (void)sqlite3_bind_int64(statement, 1, number);
        r = store_step(file, statement);
        (void)sqlite3_finalize(statement);
        if (r != 0)
                return r < 0 ? r : 0;
        store_set_problem(file->store,
                          "%.100s is not the file that the log beside it, %s-wal, belongs to; both "
                          "were left as they are: to restore a copy, move the old %s* away first",
                          file->path, file->kind->name, file->kind->name);
        return -EBADMSG;
}

/* Whether an earlier run has left something in the log. Without, closing removes it. */
static bool log_is_empty(const struct store_file *file)
{
        char *path = NULL;
        struct stat status;

        if (asprintf(&path, "%s-wal", file->path) < 0)
                return false;
        bool empty = stat(path, &status) < 0 || status.st_size == 0;
        free(path);
        return empty;
}

int store_file_open(struct store_file *file)
{
        bool keep = !log_is_empty(file);
        int64_t version = 0;
        int r = open_database(file, file->path);

        if (r == 0)
                r = store_file_keep_log(file, keep);
        if (r == 0)
                r = check_version(file, &version);
        if (r == 0 && keep && file->kind->marked_since > 0 && version >= file->kind->marked_since)
                r = check_log_is_own(file);
        if (r == 0)
                r = check_tables(file, version);
        if (r == 0)
                r = store_file_keep_log(file, false);
        if (r == 0)
                r = store_execute(file, file->kind->settings);
        if (r == 0)
                r = store_migrate(file);
        if (r == 0)
                r = store_prepare_all(file);
        if (r < 0)
                store_file_close(file);
        return r;
}

void store_file_give_back(struct store_file *file)
{
        const int64_t page_bytes = file->kind->page_bytes;
        int64_t free_pages = 0, pages = 0;
        char step[64];

        (void)snprintf(step, sizeof step, "PRAGMA incremental_vacuum(%d)",
                       (int)(SLACK_BYTES_STEP / page_bytes));
        file->slack = store_number(file, "PRAGMA freelist_count", &free_pages) == 0 &&
                      store_number(file, "PRAGMA page_count", &pages) == 0 &&
                      free_pages > SLACK_BYTES_MIN / page_bytes && free_pages > pages / 2 &&
                      store_execute(file, step) == 0;
}
