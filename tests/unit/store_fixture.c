/*
 * store_fixture: see store_fixture.h.
 */
#include "store_fixture.h"
#include "store/sqlite/sqlite_store.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "wait.h"

#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>
#include <utlist.h>

static struct {
        _Atomic int after; /* negative: never */
        _Atomic int code;
        _Atomic bool on[2]; /* bodies.db, by whether */
        _Atomic int syncs;  /* of jobs.db */
} fault = {.after = -1};

struct faulty_methods {
        sqlite3_io_methods methods; /* first, so that a file's methods lead back here */
        const sqlite3_io_methods *real;
        bool of_bodies;
};

static struct faulty_methods faulty[16];
static sqlite3_vfs faulty_vfs, *real_vfs;

static const struct faulty_methods *methods_of(const sqlite3_file *file)
{
        return (const struct faulty_methods *)(const void *)file->pMethods;
}

static bool fails_now(const sqlite3_file *file, bool sync)
{
        int after = atomic_load(&fault.after);

        if (sync != (atomic_load(&fault.code) == SQLITE_IOERR_FSYNC) ||
            !atomic_load(&fault.on[methods_of(file)->of_bodies]))
                return false;
        if (after > 0)
                (void)atomic_fetch_sub(&fault.after, 1);
        return after == 0;
}

static int faulty_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
        return fails_now(file, false) ? fault.code
                                      : methods_of(file)->real->xWrite(file, bytes, len, at);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
        if (!methods_of(file)->of_bodies)
                (void)atomic_fetch_add(&fault.syncs, 1);
        return fails_now(file, true) ? fault.code : methods_of(file)->real->xSync(file, flags);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *ret_flags)
{
        int code = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);
        bool of_bodies = name && strstr(name, "/bodies.db");
        size_t i = 0;

        (void)vfs;
        if (!file->pMethods)
                return code;
        while (faulty[i].real &&
               (faulty[i].real != file->pMethods || faulty[i].of_bodies != of_bodies))
                assert_true(++i < sizeof faulty / sizeof faulty[0]);
        if (!faulty[i].real) { /* the writer may be using one that is there */
                faulty[i].methods = *file->pMethods;
                faulty[i].methods.xWrite = faulty_write;
                faulty[i].methods.xSync = faulty_sync;
                faulty[i].of_bodies = of_bodies;
                faulty[i].real = file->pMethods;
        }
        file->pMethods = &faulty[i].methods;
        return code;
}

int register_faults(void **state)
{
        (void)state;
        real_vfs = sqlite3_vfs_find(NULL);
        faulty_vfs = *real_vfs;
        faulty_vfs.zName = "faulty";
        faulty_vfs.xOpen = faulty_open;
        return sqlite3_vfs_register(&faulty_vfs, 1);
}

static void set_fault(int calls, int code, bool on_jobs, bool on_bodies)
{
        atomic_store(&fault.on[false], on_jobs);
        atomic_store(&fault.on[true], on_bodies);
        atomic_store(&fault.code, code);
        atomic_store(&fault.after, calls);
}

void fail_after(int calls, int code)
{
        set_fault(calls, code, true, true);
}

void fail_on(const char *name, int code)
{
        set_fault(0, code, strcmp(name, "jobs.db") == 0, strcmp(name, "bodies.db") == 0);
}

void fail_never(void)
{
        atomic_store(&fault.after, -1);
}

int count_syncs(void)
{
        return atomic_load(&fault.syncs);
}

static void forget_loaded(struct fixture *f)
{
        for (size_t i = 0; i < f->purchase_count; i++) {
                purchase_drop(f->purchases[i].purchase);
                outcome_unref(f->purchases[i].outcome);
        }
        f->purchase_count = 0;
        job_unref(f->ended);
        outcome_unref(f->ended_outcome);
        f->ended = NULL;
        f->ended_outcome = NULL;
}

static int load_purchase(void *arg, struct purchase *purchase, struct outcome *outcome,
                         int64_t finished_wall_ms)
{
        struct fixture *f = arg;

        assert_true(f->purchase_count < PURCHASES_MAX);
        f->purchases[f->purchase_count++] = (struct loaded){purchase, outcome, finished_wall_ms};
        return 0;
}

int load_ended(void *arg, struct job *job, struct outcome *outcome, int64_t finished_wall_ms)
{
        struct fixture *f = arg;

        assert_null(f->ended);
        assert_true(finished_wall_ms > 0);
        f->ended = job;
        f->ended_outcome = outcome;
        return 0;
}

static int add_to_trail(void *arg, int64_t number, const char *text)
{
        struct fixture *f = arg;
        size_t len = strlen(f->trail);
        int64_t not_taken = number;

        if (atomic_compare_exchange_strong(&f->not_taken, &not_taken, 0))
                return -ENOMEM;
        (void)snprintf(f->trail + len, sizeof f->trail - len, "%lld:%s ", (long long)number, text);
        atomic_fetch_add(&f->entries, 1);
        if (f->at_entry)
                f->at_entry(f);
        return 0;
}

static int64_t last_of_trail(void *arg)
{
        struct fixture *f = arg;

        return atomic_load(&f->last_entry);
}

/* As an audit that writes only when it has to. */
static void flush_trail(void *arg)
{
        struct fixture *f = arg;

        if (f->flushed_entry > 0)
                atomic_store(&f->last_entry, f->flushed_entry);
}

void load_from(struct fixture *f, int64_t finished_after_wall_ms)
{
        const struct store_visitor visitor = {
                .purchase = load_purchase,
                .ended = load_ended,
                .arg = f,
        };
        const struct store_audit audit = {add_to_trail, last_of_trail, flush_trail, f};
        struct strbuf problem;

        forget_loaded(f);
        f->trail[0] = '\0';
        strbuf_init(&problem, 1000);
        if (sqlite_store_open(f->directory, &f->store, &problem) < 0)
                fail_msg("%s", problem.data);
        store_set_audit(f->store, &audit);
        if (store_load(f->store, f->filter, finished_after_wall_ms, &visitor, &problem) < 0)
                fail_msg("%s", problem.data);
        strbuf_done(&problem);
        if (f->before_start)
                f->before_start(f);
        assert_int_equal(store_start(f->store), 0);
}

void load(struct fixture *f)
{
        load_from(f, 0);
}

void reload(struct fixture *f)
{
        assert_int_equal(store_close(f->store), 0);
        load(f);
}

int make_directory(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        assert_non_null(f);
        (void)strcpy(f->directory, "/tmp/test_store.XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        (void)snprintf(f->file, sizeof f->file, "%s/jobs.db", f->directory);
        (void)snprintf(f->bodies, sizeof f->bodies, "%s/bodies.db", f->directory);
        assert_int_equal(loop_new(&f->loop), 0);
        f->pool = (struct body_pool){.max_bytes = 1 << 30, .body_max_bytes = 1 << 26};
        fail_never();
        *state = f;
        return 0;
}

int make_store(void **state)
{
        (void)make_directory(state);
        load(*state);
        return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
        (void)status;
        (void)type;
        (void)ftw;
        return remove(path);
}

int clean_up(void **state)
{
        struct fixture *f = *state;

        fail_never();
        (void)store_close(f->store);
        forget_loaded(f);
        body_unref(f->body);
        loop_free(f->loop);
        (void)nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f);
        return 0;
}

struct purchase *new_purchase(struct fixture *f)
{
        struct task_identity identity;
        struct purchase *purchase;

        f->number = store_next_number(f->store);
        memset(identity.bytes, (int)f->number, sizeof identity.bytes);
        assert_int_equal(purchase_new(f->number, &identity, strdup("a.example"), NULL, &purchase),
                         0);
        return purchase;
}

struct job *add_job(struct purchase *purchase, const char *client, const char *key)
{
        static const unsigned char digest[JOB_DIGEST_BYTES] = {7};
        struct job_parts parts = {
                .client = client,
                .address = "2001:db8::7",
                .target_json = "\"bus\"",
                .key = key,
                .key_digest = digest,
                .created_wall_ms = 1000,
                .deadline_wall_ms = clock_wall_ms() + 60000,
        };
        struct job *job;

        assert_int_equal(job_new(&parts, &job), 0);
        job->purchase = purchase_ref(purchase);
        job->attached = true;
        DL_APPEND2(purchase->jobs, job, sibling_prev, sibling_next);
        return job;
}

struct body *new_body(struct fixture *f, size_t len)
{
        struct body *body;
        char *bytes = malloc(len);

        assert_non_null(bytes);
        memset(bytes, 'b', len);
        assert_int_equal(body_new(&f->pool, NULL, (int64_t)len, &body), 0);
        assert_int_equal(body_append(body, bytes, len), 0);
        free(bytes);
        return body;
}

static void on_done(struct store_record *record, int error, void *arg)
{
        struct fixture *f = arg;

        f->error = error;
        f->told++;
        if (record->purchase && record->purchase->jobs)
                (void)strncat(f->order, record->purchase->jobs->client,
                              sizeof f->order - strlen(f->order) - 1);
        loop_stop(f->loop);
}

struct store_record *new_record(struct fixture *f)
{
        struct store_record *record = store_record_new();

        assert_non_null(record);
        record->done = on_done;
        record->arg = f;
        record->loop = f->loop;
        return record;
}

static void add_jobs_of(struct store_record *record)
{
        struct job *job;

        record->jobs = calloc(PURCHASES_MAX, sizeof *record->jobs);
        assert_non_null(record->jobs);
        DL_FOREACH2 (record->purchase->jobs, job, sibling_next)
                record->jobs[record->job_count++] = job_ref(job);
}

struct store_record *record_for(struct fixture *f, enum store_purchase move,
                                struct purchase *purchase, enum job_state to)
{
        struct store_record *record = new_record(f);

        record->move = move;
        record->purchase = purchase_ref(purchase);
        record->state = to;
        add_jobs_of(record);
        return record;
}

int write_record(struct fixture *f, struct store_record *record)
{
        int told = f->told;

        store_write(f->store, record);
        while (f->told == told)
                loop_run(f->loop);
        return f->error;
}

int write_queued(struct fixture *f, struct purchase *purchase)
{
        struct store_record *record = record_for(f, STORE_PURCHASE_ADD, purchase, JOB_QUEUED);

        record->body = new_body(f, 50000);
        return write_record(f, record);
}

int write_sending_for(struct fixture *f, struct purchase *purchase, const struct job *payer,
                      int64_t wall_ms)
{
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SENDING);

        record->upstream = "pro";
        record->charge = STORE_CHARGE_OPEN;
        record->charge_wall_ms = wall_ms;
        record->charge_day = clock_day_of(wall_ms);
        (void)strcpy(record->charge_job, payer->id);
        return write_record(f, record);
}

int write_sending(struct fixture *f, struct purchase *purchase)
{
        return write_sending_for(f, purchase, purchase->jobs, clock_wall_ms());
}

int write_solved(struct fixture *f, struct purchase *purchase)
{
        struct store_record *record = record_for(f, STORE_PURCHASE_MOVE, purchase, JOB_SOLVED);

        record->must = true;
        record->charge = STORE_CHARGE_CHARGED;
        record->outcome = outcome_solved(strdup("\"solution\":[1]"), 14);
        return write_record(f, record);
}

int forget_jobs(struct fixture *f, const struct purchase *purchase)
{
        struct store_record *record = new_record(f);
        const struct job *job;

        record->must = true;
        record->forget = calloc(PURCHASES_MAX, sizeof *record->forget);
        assert_non_null(record->forget);
        DL_FOREACH2 (purchase->jobs, job, sibling_next)
                (void)strcpy(record->forget[record->forget_count++], job->id);
        return write_record(f, record);
}

int write_entry(struct fixture *f, const char *text)
{
        struct store_record *record = new_record(f);

        record->audit = strdup(text);
        return write_record(f, record);
}

int64_t count_entries(const struct fixture *f)
{
        return ask_file(f->file, "SELECT count(*) FROM audit");
}

static void on_fetched(struct store_fetch *fetch, int error, struct body *body)
{
        fetch->error = error;
        fetch->body = body;
        loop_stop(fetch->loop);
}

int64_t fetch(struct fixture *f, int64_t number)
{
        struct store_fetch fetched = {
                .number = number, .pool = &f->pool, .loop = f->loop, .done = on_fetched};

        store_fetch_body(f->store, &fetched);
        loop_run(f->loop);
        if (fetched.error < 0)
                return fetched.error;
        int64_t len = (int64_t)fetched.body->len;
        assert_int_equal(f->pool.bytes, len);
        assert_int_equal(fetched.body->data[len - 1], 'b');
        body_unref(fetched.body);
        return len;
}

int64_t ask_file(const char *file, const char *sql)
{
        sqlite3 *db;
        sqlite3_stmt *statement;

        assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
        int64_t number =
                sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
        (void)sqlite3_finalize(statement);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return number;
}

void run_on_file(const char *file, const char *sql)
{
        sqlite3 *db;

        assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s", sqlite3_errmsg(db));
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t close_and_count_bodies(struct fixture *f)
{
        close_store(f);
        return ask_file(f->bodies, "SELECT count(*) FROM body");
}

int64_t file_bytes(const char *file, const char *suffix)
{
        char path[128];
        struct stat status;

        (void)snprintf(path, sizeof path, "%s%s", file, suffix);
        return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}

char *read_whole(const char *file, size_t *ret_len)
{
        FILE *stream = fopen(file, "r");
        char *bytes = malloc(1 << 20);

        assert_non_null(stream);
        assert_non_null(bytes);
        *ret_len = fread(bytes, 1, 1 << 20, stream);
        (void)fclose(stream);
        return bytes;
}

void wait_until_healthy(const struct fixture *f)
{
        WAIT_UNTIL(store_healthy(f->store));
}

void close_store(struct fixture *f)
{
        assert_int_equal(store_close(f->store), 0);
        f->store = NULL;
}

void expect_refused(const struct fixture *f, const char *sentence)
{
        struct store *store = NULL;
        struct strbuf problem;

        strbuf_init(&problem, 1000);
        assert_true(sqlite_store_open(f->directory, &store, &problem) < 0);
        assert_null(store);
        if (!problem.data || !strstr(problem.data, sentence))
                fail_msg("%s", problem.data ? problem.data : "nothing is said");
        strbuf_done(&problem);
}
