/*
 * sqlite_store: see sqlite_store.h. The thread that writes records, and the table of functions.
 *
 * No caller is notified before the commit of its record has succeeded. A transaction that fails is
 * rolled back whole; then its records that must be written return to the head of the queue, in
 * order.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "job/purchase.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#define RETRY_MS 250

#define RELEASE_AFTER_MS 1000 /* without a start's reading and without deletions */

#define BUSY_TURNS   16 /* with a record or a fetch, until deletions have one between them */
#define FORGET_STEPS 16 /* transactions of deletions that a stop waits for */

static void sqlite_write(struct store *base, struct store_record *record)
{
        struct sqlite_store *store = sqlite_store_of(base);
        int error = 0;

        record->error = 0;
        record->item.is_fetch = false;
        (void)pthread_mutex_lock(&store->mutex);
        if (!record->must && atomic_load(&store->unhealthy))
                error = store->last_error;
        else if (!record->must && atomic_load(&store->detached))
                error = -ESTALE;
        else
                store_queue_add_locked(store, &record->item);
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
        if (error < 0)
                store_record_complete(record, error);
}

static void sqlite_fetch_body(struct store *base, struct store_fetch *fetch)
{
        struct sqlite_store *store = sqlite_store_of(base);

        fetch->body = NULL;
        fetch->item.is_fetch = true;
        (void)pthread_mutex_lock(&store->mutex);
        store_queue_add_locked(store, &fetch->item);
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
}

static int64_t sqlite_next_number(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return atomic_fetch_add(&store->next_number, 1);
}

static bool sqlite_healthy(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return !atomic_load(&store->unhealthy) && !atomic_load(&store->detached);
}

static bool sqlite_detached(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return atomic_load(&store->detached);
}

static bool sqlite_lock_was_made(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return atomic_exchange(&store->watch.lock_made, false);
}

static enum store_loss sqlite_loss(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return atomic_load(&store->watch.loss);
}

void sqlite_problem(struct store *base, char *ret_text, size_t size)
{
        struct sqlite_store *store = sqlite_store_of(base);

        (void)pthread_mutex_lock(&store->mutex);
        (void)snprintf(ret_text, size, "%s", store->problem);
        (void)pthread_mutex_unlock(&store->mutex);
}

/* Takes what goes into one transaction: records, and a few of the deletions that wait. */
static struct store_item *take_batch_locked(struct sqlite_store *store)
{
        size_t rows = 0;

        struct store_item *batch = store_queue_take_locked(store, &rows);
        store_forget_take_locked(store, atomic_load(&store->unhealthy) ? 0 : rows);
        return batch;
}

static int apply_batch(struct sqlite_store *store, struct store_item *batch,
                       struct store_record **ret_faulty)
{
        struct store_item *item;
        int r = 0;

        DL_FOREACH (batch, item) {
                struct store_record *record = store_record_of(item);
                if (record->error < 0)
                        continue;
                r = store_apply(store, record);
                if (r == -EPROTO)
                        *ret_faulty = record;
                if (r < 0)
                        break;
        }
        return r;
}

static int try_rows(struct sqlite_store *store, struct store_item *batch,
                    struct store_record **ret_faulty)
{
        const struct store_entries entries = store->entries;
        size_t drop_count = store->drop_count;

        int r = store_run(store, STORE_SQL_BEGIN);
        if (r == 0)
                r = apply_batch(store, batch, ret_faulty);
        if (r == 0)
                r = store_audit_note(store);
        if (r == 0)
                r = store_audit_forget(store);
        if (r == 0 && !atomic_load(&store->unhealthy))
                r = store_forget_apply(store, !batch);
        /* While unhealthy something has to be written: it shows whether there is a way again, and
         * it takes the place in the log of what a failed commit has left there, which a crash could
         * bring back otherwise. */
        if (r == 0 && atomic_load(&store->unhealthy))
                r = store_run(store, STORE_SQL_TOUCH);
        if (r == 0)
                r = store_run(store, STORE_SQL_COMMIT);
        if (r < 0) {
                store_rollback(&store->jobs);
                store->drop_count = drop_count;
                store->entries = entries;
        }
        return r;
}

/* Writes the rows of those of a batch that have no error, and does the deletions taken. */
static int write_rows(struct sqlite_store *store, struct store_item *batch,
                      struct store_record **ret_faulty)
{
        int r;

        do
                r = try_rows(store, batch, ret_faulty);
        while (r == -EAGAIN); /* without a deletion that can never be done */
        return r;
}

/* A record that can never be written gets its error, and the others are written without it. Then
 * a body may be needed that was not before, so it begins with the bodies again. */
static int write_sparing(struct sqlite_store *store, struct store_item *batch)
{
        for (;;) {
                struct store_record *faulty = NULL;
                store_queue_mark_bodies(batch);
                int r = store_bodies_write(store, batch, &faulty);
                if (r == 0)
                        r = write_rows(store, batch, &faulty);
                if (!faulty)
                        return r == -EPROTO ? -EIO : r;
                faulty->error = -EPROTO;
        }
}

/*
 * Two transactions: first the bodies, so that no row is ever without the one it needs. Returns 0,
 * or the -errno for which no row was written.
 */
static int write_batch(struct sqlite_store *store, struct store_item *batch)
{
        int r = store_log_check(store);

        while (r == 0 && store->drop_count >= STORE_DROPS)
                r = store_bodies_drop(store);
        return r == 0 ? write_sparing(store, batch) : r;
}

static void finish_record(struct sqlite_store *store, struct store_record *record, int error)
{
        if (error < 0 && record->must && store->started) /* else the next start decides again */
                store->lost++;
        if (error < 0 && record->body && record->purchase) /* which may be written already */
                store_bodies_note(store, record->purchase->number);
        if (atomic_load(&store->closing)) /* no caller waits, and its loop may be gone */
                store_record_free(record);
        else
                store_record_complete(record, error);
}

static void finish_batch(struct sqlite_store *store, struct store_item *batch)
{
        struct store_item *item, *next;

        if (!atomic_exchange(&store->unhealthy, false))
                store_forget_committed(store);
        store->jobs.slack = true;
        store_audit_tell(store, batch);
        (void)pthread_mutex_lock(&store->mutex);
        store_queue_done_locked(store, batch);
        (void)pthread_mutex_unlock(&store->mutex);
        DL_FOREACH_SAFE (batch, item, next)
                finish_record(store, store_record_of(item), store_record_of(item)->error);
}

static void finish_all(struct sqlite_store *store, struct store_item *items, int error)
{
        struct store_item *item, *next;

        DL_FOREACH_SAFE (items, item, next)
                finish_record(store, store_record_of(item), error);
}

/* A batch was not written: what must be waits at the head of the queue, the rest fails. */
static void return_batch(struct sqlite_store *store, struct store_item *batch, int error)
{
        struct store_item *given_up = NULL;

        (void)pthread_mutex_lock(&store->mutex);
        atomic_store(&store->unhealthy, true);
        store->last_error = error;
        store->retry_at_ms = clock_monotonic_ms() + RETRY_MS;
        store_queue_give_up_locked(store, &batch, &given_up, store->giving_up);
        store_queue_return_locked(store, batch);
        (void)pthread_mutex_unlock(&store->mutex);
        finish_all(store, given_up, error);
}

/* Records that may fail do as long as the store is detached; the others are written to the files
 * that are open. */
static void fail_while_detached(struct sqlite_store *store, struct store_item **batch)
{
        struct store_item *failed = NULL;

        (void)pthread_mutex_lock(&store->mutex);
        store_queue_give_up_locked(store, batch, &failed, false);
        (void)pthread_mutex_unlock(&store->mutex);
        finish_all(store, failed, -ESTALE);
}

/* Writes a batch, with the deletions that were taken. */
static void write_next(struct sqlite_store *store, struct store_item *batch)
{
        store_watch_look(store);
        if (atomic_load(&store->detached))
                fail_while_detached(store, &batch);
        int r = write_batch(store, batch);
        if (r < 0)
                return_batch(store, batch, r);
        else
                finish_batch(store, batch);
        if (r == 0)
                store_log_grown(store);
}

/* Takes some deletions for a transaction of their own, or none where it is the turn of a sweep.
 * Returns whether there was something to do. */
static bool take_deletions(struct sqlite_store *store)
{
        (void)pthread_mutex_lock(&store->mutex);
        bool waits = !atomic_load(&store->unhealthy) && store_forget_waits_locked(store);
        bool sweeps = store_forget_sweeps(store) && (store->swept = !store->swept);
        store_forget_take_locked(store, waits && !sweeps ? STORE_FORGET_ROWS : 0);
        (void)pthread_mutex_unlock(&store->mutex);
        return waits;
}

/* What can be put off until there is nothing else to do. */
static void tidy(struct sqlite_store *store)
{
        store->busy_turns = 0;
        if (clock_monotonic_ms() >= store->watch.look_at_ms) {
                store_watch_look(store);
        } else if (take_deletions(store)) {
                write_next(store, NULL);
                store->release_at_ms = clock_monotonic_ms() + RELEASE_AFTER_MS;
        } else if (store->bodies.slack) {
                store_file_give_back(&store->bodies);
        } else if (store->jobs.slack) {
                store_file_give_back(&store->jobs);
                if (store->jobs.slack)
                        store->jobs.slack = store_log_checkpoint(store);
        } else if (store->drop_count > 0 && clock_monotonic_ms() >= store->drop_at_ms) {
                (void)store_bodies_drop(store); /* or later */
        } else if (store_audit_waits(store) && clock_monotonic_ms() >= store->forget_at_ms) {
                store_audit_tidy(store);
        } else if (store->release_at_ms > 0 && clock_monotonic_ms() >= store->release_at_ms) {
                store->release_at_ms = 0;
                (void)sqlite3_db_release_memory(store->jobs.db);
                (void)sqlite3_db_release_memory(store->bodies.db);
        }
}

/* What must go on although records wait: one short transaction. */
static void tidy_between_records(struct sqlite_store *store)
{
        store->busy_turns = 0;
        if (take_deletions(store))
                write_next(store, NULL);
        else if (store->bodies.slack)
                store_file_give_back(&store->bodies);
        else if (store->jobs.slack)
                store_file_give_back(&store->jobs);
}

static void wait_until_locked(struct sqlite_store *store, int64_t then_ms)
{
        const struct timespec then = {
                .tv_sec = then_ms / 1000,
                .tv_nsec = then_ms % 1000 * 1000000,
        };

        (void)pthread_cond_timedwait(&store->wake, &store->mutex, &then);
}

/* When there is something to do without a record: a time, or 0 for at once. */
static int64_t next_turn_ms_locked(const struct sqlite_store *store)
{
        if (atomic_load(&store->unhealthy))
                return store->retry_at_ms;
        if (store->jobs.slack || store->bodies.slack || store_forget_waits_locked(store))
                return 0;
        int64_t next_ms = store->watch.look_at_ms;
        if (store->drop_count > 0 && store->drop_at_ms < next_ms)
                next_ms = store->drop_at_ms;
        if (store_audit_waits(store) && store->forget_at_ms < next_ms)
                next_ms = store->forget_at_ms;
        if (store->release_at_ms > 0 && store->release_at_ms < next_ms)
                next_ms = store->release_at_ms;
        return next_ms;
}

/* Waits until there is something to do. Returns false when that will never be again. */
static bool wait_locked(struct sqlite_store *store)
{
        for (;;) {
                bool unhealthy = atomic_load(&store->unhealthy);
                int64_t turn_ms = next_turn_ms_locked(store);
                if (!store->items && atomic_load(&store->closing))
                        return false;
                if (store->items &&
                    (!unhealthy || store->giving_up || store_queue_fetches_locked(store)))
                        return true;
                if (clock_monotonic_ms() >= turn_ms)
                        return true;
                else
                        wait_until_locked(store, turn_ms);
        }
}

/* Does what is next: reads a body, or writes records. Called with the mutex, which it releases. */
static void serve_queue(struct sqlite_store *store)
{
        struct store_fetch *fetch = store_queue_take_fetch_locked(store);

        store->busy_turns++;
        if (fetch) {
                (void)pthread_mutex_unlock(&store->mutex);
                store_fetch_complete(fetch, store_bodies_read(store, fetch));
        } else {
                struct store_item *batch = take_batch_locked(store);
                (void)pthread_mutex_unlock(&store->mutex);
                write_next(store, batch);
        }
}

static void *writer_main(void *arg)
{
        struct sqlite_store *store = arg;

        (void)pthread_mutex_lock(&store->mutex);
        while (wait_locked(store)) {
                bool unhealthy = atomic_load(&store->unhealthy);
                if (store->items && store->busy_turns >= BUSY_TURNS && !unhealthy &&
                    !store->giving_up) {
                        (void)pthread_mutex_unlock(&store->mutex);
                        tidy_between_records(store);
                } else if (store->items || unhealthy) {
                        serve_queue(store);
                } else {
                        (void)pthread_mutex_unlock(&store->mutex);
                        tidy(store);
                }
                (void)pthread_mutex_lock(&store->mutex);
        }
        (void)pthread_mutex_unlock(&store->mutex);
        return NULL;
}

static int sqlite_start(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        store_log_begin(store);
        store->release_at_ms = clock_monotonic_ms() + RELEASE_AFTER_MS;
        store->started = true; /* which the writer reads */
        int r = -pthread_create(&store->thread, NULL, writer_main, store);
        if (r == 0)
                (void)pthread_setname_np(store->thread, "store");
        else
                store->started = false;
        return r;
}

static void sqlite_give_up(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        (void)pthread_mutex_lock(&store->mutex);
        store->giving_up = true;
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
}

/*
 * A clean stop leaves two files, with nothing beside them, no body that nobody needs, no entry that
 * the audit file has, and no row that is to be deleted, unless there are very many. Where one is
 * not at its path any more, what is beside it is emptied and not removed: that would be by its
 * path, where another's file may be.
 */
static void leave_tidy(struct sqlite_store *store)
{
        if (store->started) { /* else there may be no audit either */
                if (store->audit.flush)
                        store->audit.flush(store->audit.arg);
                store_audit_tidy(store);
                for (int i = 0; i < FORGET_STEPS && take_deletions(store); i++)
                        write_next(store, NULL);
        }
        while (store->drop_count > 0 && store_bodies_drop(store) == 0)
                ;
        store_watch_look(store);
        if (atomic_load(&store->detached))
                (void)store_file_keep_log(&store->jobs, true);
        else
                (void)store_execute(&store->bodies, "PRAGMA journal_mode = DELETE");
        (void)sqlite3_wal_checkpoint_v2(store->jobs.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                        NULL);
}

static size_t sqlite_close(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);
        struct store_item *item, *next;

        (void)pthread_mutex_lock(&store->mutex);
        store->giving_up = true;
        atomic_store(&store->closing, true);
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
        if (store->started)
                (void)pthread_join(store->thread, NULL);
        /* There are some where it never started. */
        DL_FOREACH_SAFE2 (store->items, item, next, newer) {
                if (!item->is_fetch)
                        finish_record(store, store_record_of(item), -ECANCELED);
        }
        leave_tidy(store);
        size_t lost = store->lost;
        store_done(store);
        return lost;
}

static const struct store_files sqlite_files = {
        .detached = sqlite_detached,
        .look = sqlite_look,
        .lock_was_made = sqlite_lock_was_made,
        .loss = sqlite_loss,
        .last_entry = sqlite_last_entry,
        .log_is_lost = sqlite_log_is_lost,
        .restore = sqlite_restore,
};

const struct store_backend sqlite_backend = {
        .set_audit = sqlite_set_audit,
        .load = sqlite_load,
        .ledger = sqlite_ledger,
        .usage = sqlite_usage,
        .start = sqlite_start,
        .next_number = sqlite_next_number,
        .write = sqlite_write,
        .fetch_body = sqlite_fetch_body,
        .forget = sqlite_forget,
        .forgets = sqlite_forgets,
        .healthy = sqlite_healthy,
        .problem = sqlite_problem,
        .give_up = sqlite_give_up,
        .close = sqlite_close,
        .files = &sqlite_files,
};
