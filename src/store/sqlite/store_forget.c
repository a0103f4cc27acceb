/*
 * store_forget: deletions, which have time.
 *
 * Results expire in large numbers at once, and new jobs must not wait for that. So deletions have a
 * list of their own. While no record waits, they are done in transactions of STORE_FORGET_ROWS at
 * most, so a new record waits for one of these. Each transaction of records takes a few of them
 * along: as many as it may add rows, so the list does not grow however busy the store is.
 *
 * A deletion that came before a record may be done after it: an ID is deleted once nobody can ask
 * for its job any more, and IDs and numbers are never used again. It is never done before a record
 * that came earlier, which may be the one that adds the row: each has a number in their common
 * order, and only deletions from before the oldest record that is left are taken.
 *
 * A sweep finds what has no list: rows of an earlier run that store_load() did not read, and days
 * of the ledger that are too old. store_load() does not read what has expired or does not fit into
 * memory. The sweep finds these rows by their time, in order of their numbers, up to the last one
 * of that run. The list and the sweep have their own transactions, in turns.
 *
 * If records wait all the time, one transaction of deletions comes after each BUSY_TURNS of the
 * writer (sqlite_store.c), so a sweep does not wait for a pause that never comes.
 *
 * What is left at the stop stays: the next start reads it again, or deletes it.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "job/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SCAN_ROWS   1024 /* that are looked at in a step */
#define WITH_OTHERS 16   /* deletions that a transaction of records takes along, at least */

struct store_deletion {
        struct store_deletion *prev, *next;
        uint64_t order;
        size_t count;
        char ids[][JOB_ID_CHARS + 1];
};

int sqlite_forget(struct store *base, const struct job *gone)
{
        struct sqlite_store *store = sqlite_store_of(base);
        const struct job *job;
        size_t count = 0;

        DL_FOREACH2 (gone, job, expiry_next)
                count++;
        struct store_deletion *deletion = malloc(sizeof *deletion + count * sizeof *deletion->ids);
        if (!deletion)
                return -ENOMEM;
        deletion->count = 0;
        DL_FOREACH2 (gone, job, expiry_next)
                memcpy(deletion->ids[deletion->count++], job->id, sizeof job->id);
        (void)pthread_mutex_lock(&store->mutex);
        deletion->order = store->order++;
        DL_APPEND(store->forget.list, deletion);
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
        return 0;
}

bool sqlite_forgets(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        (void)pthread_mutex_lock(&store->mutex);
        bool waits = store->forget.list;
        (void)pthread_mutex_unlock(&store->mutex);
        return waits;
}

void store_forget_done(struct sqlite_store *store)
{
        struct store_deletion *deletion, *next;

        DL_FOREACH_SAFE (store->forget.list, deletion, next)
                free(deletion);
        store->forget.list = NULL;
}

void store_forget_unread(struct sqlite_store *store, const struct store_sweep *sweep)
{
        store->forget.sweep = store->forget.next = *sweep;
}

/* ---- what is taken for a transaction ---- */

static bool sweeps(const struct store_sweep *sweep)
{
        return sweep->number < sweep->number_end || sweep->seq < sweep->seq_end;
}

static bool prunes(const struct sqlite_store *store)
{
        return store->pruned_day != clock_day_of(clock_wall_ms());
}

bool store_forget_sweeps(const struct sqlite_store *store)
{
        return sweeps(&store->forget.sweep) || prunes(store);
}

bool store_forget_waits_locked(const struct sqlite_store *store)
{
        return store->forget.list || store_forget_sweeps(store);
}

void store_forget_take_locked(struct sqlite_store *store, size_t rows)
{
        struct store_forget *forget = &store->forget;
        const uint64_t before = store_queue_oldest_locked(store);
        const struct store_deletion *deletion = forget->list;
        size_t at = forget->done;

        forget->count = 0;
        if (rows > 0 && rows < WITH_OTHERS)
                rows = WITH_OTHERS;
        if (rows > STORE_FORGET_ROWS)
                rows = STORE_FORGET_ROWS;
        while (deletion && deletion->order < before && forget->count < rows) {
                if (at < deletion->count) {
                        forget->ids[forget->count++] = deletion->ids[at++];
                } else {
                        deletion = deletion->next;
                        at = 0;
                }
        }
}

/* Those that were taken are done. */
static void advance_locked(struct store_forget *forget)
{
        forget->done += forget->count;
        while (forget->list && forget->done >= forget->list->count) {
                struct store_deletion *first = forget->list;
                forget->done -= first->count;
                DL_DELETE(forget->list, first);
                free(first);
        }
        forget->count = 0;
}

/* ---- what an earlier run has left ---- */

struct unread {
        int64_t key;
        bool ahead; /* by a clock that was ahead: it was read, and its time is corrected */
};

/* Finds rows that finished early enough, or later than now. Returns how many, or -errno; *ret_at is
 * the last one that was looked at, or the end. */
static int find_unread(struct sqlite_store *store, enum store_sql which, int64_t at, int64_t end,
                       struct unread found[static STORE_FORGET_ROWS], int64_t *ret_at)
{
        const struct store_sweep *sweep = &store->forget.sweep;
        const int64_t now_ms = clock_wall_ms();
        sqlite3_stmt *row = store->sql[which];
        int count = 0, looked = 0, r = 0;

        if (now_ms < sweep->now_ms) { /* what finishes now looks older than it is */
                *ret_at = end;
                return 0;
        }
        (void)sqlite3_bind_int64(row, 1, at);
        (void)sqlite3_bind_int64(row, 2, end);
        while (count < STORE_FORGET_ROWS && looked < SCAN_ROWS &&
               (r = store_step(&store->jobs, row)) > 0) {
                looked++;
                at = sqlite3_column_int64(row, 0);
                int64_t finished_ms = sqlite3_column_int64(row, 1);
                if (sqlite3_column_type(row, 1) != SQLITE_NULL &&
                    (finished_ms <= sweep->finished_ms[sqlite3_column_int(row, 2)] ||
                     finished_ms > now_ms))
                        found[count++] = (struct unread){at, finished_ms > now_ms};
        }
        (void)sqlite3_reset(row);
        if (r < 0)
                return r;
        *ret_at = r == 0 && looked < SCAN_ROWS && count < STORE_FORGET_ROWS ? end : at;
        return count;
}

/* Otherwise each start would keep it for the whole time again. */
static int correct_time(struct sqlite_store *store, enum store_sql which, int64_t key)
{
        (void)sqlite3_bind_int64(store->sql[which], 2, store->forget.sweep.now_ms);
        return store_run_for(store, which, key);
}

/* Deletes a purchase with its jobs, of which there may be more than *left: then some of them. */
static int delete_purchase(struct sqlite_store *store, int64_t number, int *left)
{
        (void)sqlite3_bind_int(store->sql[STORE_SQL_JOBS_DELETE], 2, *left);
        int r = store_run_for(store, STORE_SQL_JOBS_DELETE, number);
        if (r < 0)
                return r;
        *left -= sqlite3_changes(store->jobs.db);
        return *left > 0 ? store_drop_unneeded(store, number) : 0;
}

static int sweep_purchases(struct sqlite_store *store, struct store_sweep *next)
{
        struct unread found[STORE_FORGET_ROWS];
        int left = STORE_FORGET_ROWS, r = 0;

        int count = find_unread(store, STORE_SQL_UNREAD_PURCHASES, next->number, next->number_end,
                                found, &next->number);
        for (int i = 0; r == 0 && i < count && left > 0; i++) {
                if (found[i].ahead)
                        r = correct_time(store, STORE_SQL_PURCHASE_TIME, found[i].key);
                else
                        r = delete_purchase(store, found[i].key, &left);
                if (left <= 0) /* it may have more of them */
                        next->number = found[i].key - 1;
        }
        return count < 0 ? count : r;
}

static int sweep_jobs(struct sqlite_store *store, struct store_sweep *next)
{
        struct unread found[STORE_FORGET_ROWS];
        int r = 0;

        int count = find_unread(store, STORE_SQL_UNREAD_JOBS, next->seq, next->seq_end, found,
                                &next->seq);
        for (int i = 0; r == 0 && i < count; i++)
                r = found[i].ahead ? correct_time(store, STORE_SQL_JOB_TIME, found[i].key)
                                   : store_run_for(store, STORE_SQL_JOB_DELETE, found[i].key);
        return count < 0 ? count : r;
}

/* ---- the days of the ledger ---- */

/* Returns 1, 0 if there is none, or -errno. */
static int find_old_day(struct sqlite_store *store, int64_t *ret_day)
{
        sqlite3_stmt *row = store->sql[STORE_SQL_DAY_OLD];

        (void)sqlite3_bind_int64(row, 1, STORE_DAYS_KEPT);
        int r = store_step(&store->jobs, row);
        if (r > 0 && sqlite3_column_type(row, 0) == SQLITE_NULL)
                r = 0;
        if (r > 0)
                *ret_day = sqlite3_column_int64(row, 0);
        (void)sqlite3_reset(row);
        return r;
}

int store_forget_look(struct sqlite_store *store)
{
        int64_t day = 0;
        int r = find_old_day(store, &day);

        if (r == 0)
                store->pruned_day = clock_day_of(clock_wall_ms());
        return r < 0 ? r : 0;
}

/* Deletes some rows of days that are too old; once a day, until there are none. */
static int prune_days(struct sqlite_store *store)
{
        const int64_t today = clock_day_of(clock_wall_ms());
        int64_t day = 0;

        int r = find_old_day(store, &day);
        if (r > 0) {
                (void)sqlite3_bind_int(store->sql[STORE_SQL_DAY_PRUNE], 2, STORE_FORGET_ROWS);
                r = store_run_for(store, STORE_SQL_DAY_PRUNE, day);
                if (r < 0 || sqlite3_changes(store->jobs.db) == STORE_FORGET_ROWS)
                        return r;
        }
        if (r == 0)
                store->forget.pruned_day = today;
        return r;
}

/* ---- a transaction ---- */

static int apply_ids(struct sqlite_store *store)
{
        struct store_forget *forget = &store->forget;

        for (size_t i = 0; i < forget->count; i++) {
                int r = forget->ids[i] ? store_forget_id(store, forget->ids[i]) : 0;
                if (r == -EPROTO) {
                        forget->ids[i] = NULL; /* which can never be deleted */
                        return -EAGAIN;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A step of what has no list. One that can never be done is left to the next start. */
static int sweep(struct sqlite_store *store)
{
        struct store_forget *forget = &store->forget;
        int r = 0;

        if (forget->next.number < forget->next.number_end) {
                r = sweep_purchases(store, &forget->next);
                if (r == -EPROTO)
                        forget->sweep.number = forget->sweep.number_end;
        } else if (forget->next.seq < forget->next.seq_end) {
                r = sweep_jobs(store, &forget->next);
                if (r == -EPROTO)
                        forget->sweep.seq = forget->sweep.seq_end;
        } else if (prunes(store)) {
                r = prune_days(store);
                if (r == -EPROTO)
                        store->pruned_day = clock_day_of(clock_wall_ms());
        }
        return r == -EPROTO ? -EAGAIN : r;
}

int store_forget_apply(struct sqlite_store *store, bool alone)
{
        struct store_forget *forget = &store->forget;

        forget->next = forget->sweep;
        forget->pruned_day = store->pruned_day;
        if (forget->count > 0)
                return apply_ids(store);
        return alone ? sweep(store) : 0;
}

void store_forget_committed(struct sqlite_store *store)
{
        struct store_forget *forget = &store->forget;

        forget->sweep = forget->next;
        store->pruned_day = forget->pruned_day;
        (void)pthread_mutex_lock(&store->mutex);
        advance_locked(forget);
        (void)pthread_mutex_unlock(&store->mutex);
}
