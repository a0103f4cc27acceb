/*
 * store_bodies: the bodies of purchases that wait, in a file of their own.
 *
 * A body is durable before the rows that need it, and goes after the rows that do not are: so
 * whatever a crash leaves, no row misses its body, and a body that no row needs is deleted at the
 * next start. It is not deleted at once but with others, and counts as gone from when its purchase
 * does not wait any more. Since a body that was noted may be wanted again by a record that is tried
 * anew, that is looked at when it is its turn; such a record brings its body with it.
 *
 * Deletions have transactions of their own: a page that is freed and filled in one and the same
 * would have to be written to the journal too.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "job/body.h"
#include "job/purchase.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <utlist.h>

#define DROP_AFTER_MS 1000 /* so that what goes together is deleted together */

static int add_body(struct sqlite_store *store, const struct store_record *record)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_BODY_ADD];
        const struct body *body = record->body;

        if (!record->purchase)
                return -EPROTO;
        (void)sqlite3_bind_int64(statement, 1, record->purchase->number);
        /* An empty blob is not NULL. */
        (void)sqlite3_bind_blob64(statement, 2, body->data ? body->data : "", body->len,
                                  SQLITE_STATIC);
        return store_run(store, STORE_SQL_BODY_ADD);
}

static bool brings_body(struct store_item *item)
{
        const struct store_record *record = store_record_of(item);

        return record->body_needed && record->error == 0;
}

int store_bodies_write(struct sqlite_store *store, struct store_item *batch,
                       struct store_record **ret_faulty)
{
        struct store_item *item = batch;

        while (item && !brings_body(item))
                item = item->next;
        if (!item)
                return 0;
        int r = store_run(store, STORE_SQL_BODIES_BEGIN);
        for (; r == 0 && item; item = item->next) {
                if (!brings_body(item))
                        continue;
                r = add_body(store, store_record_of(item));
                if (r == -EPROTO)
                        *ret_faulty = store_record_of(item);
        }
        if (r == 0)
                r = store_run(store, STORE_SQL_BODIES_COMMIT);
        if (r < 0)
                store_rollback(&store->bodies);
        return r;
}

void store_bodies_note(struct sqlite_store *store, int64_t number)
{
        if (store->drop_count == 0)
                store->drop_at_ms = clock_monotonic_ms() + DROP_AFTER_MS;
        /* Where there is no room, which is after failures only, it stays until the next start. */
        if (store->drop_count < STORE_DROPS_MAX)
                store->drops[store->drop_count++] = number;
}

static int drop_body(struct sqlite_store *store, int64_t number)
{
        bool waits = false;
        int r = store_purchase_waits(store, number, &waits);

        return r < 0 || waits ? r : store_run_for(store, STORE_SQL_BODY_DELETE, number);
}

int store_bodies_drop(struct sqlite_store *store)
{
        size_t count = store->drop_count < STORE_DROPS ? store->drop_count : STORE_DROPS;
        size_t left = store->drop_count - count;

        int r = store_run(store, STORE_SQL_BODIES_BEGIN);
        for (size_t i = left; r == 0 && i < store->drop_count; i++)
                r = drop_body(store, store->drops[i]);
        if (r == 0)
                r = store_run(store, STORE_SQL_BODIES_COMMIT);
        if (r == 0) {
                store->drop_count = left;
                store->bodies.slack = true;
        } else {
                store_rollback(&store->bodies);
                store->drop_at_ms = clock_monotonic_ms() + DROP_AFTER_MS;
        }
        return r;
}

/* Copies a blob into a body that is counted in the pool. */
static int copy_blob(struct sqlite_store *store, sqlite3_stmt *row, struct store_fetch *fetch)
{
        const void *bytes = sqlite3_column_blob(row, 0);
        size_t len = bytes ? (size_t)sqlite3_column_bytes(row, 0) : 0;

        if (!bytes && sqlite3_errcode(store->bodies.db) == SQLITE_NOMEM)
                return -ENOMEM;
        int r = body_new_beyond(fetch->pool, len, &fetch->body);
        if (r == 0 && len > 0) {
                memcpy(fetch->body->data, bytes, len);
                fetch->body->len = len;
        }
        return r;
}

int store_bodies_read(struct sqlite_store *store, struct store_fetch *fetch)
{
        sqlite3_stmt *row = store->sql[STORE_SQL_BODY_READ];
        bool waits = false;

        int r = store_purchase_waits(store, fetch->number, &waits);
        if (r < 0 || !waits)
                return r < 0 ? r : -ENOENT;
        (void)sqlite3_bind_int64(row, 1, fetch->number);
        r = store_step(&store->bodies, row);
        if (r >= 0)
                r = r > 0 ? copy_blob(store, row, fetch) : -ENOENT;
        (void)sqlite3_reset(row);
        return r;
}

static int list_number(struct sqlite_store *store, sqlite3_stmt *add, int64_t number)
{
        (void)sqlite3_bind_int64(add, 1, number);
        int r = store_step(&store->jobs, add);
        (void)sqlite3_reset(add);
        return r;
}

int store_bodies_list(struct sqlite_store *store, struct store_range range,
                      const struct store_visitor *visitor)
{
        sqlite3_stmt *row = NULL, *add = NULL;
        int64_t listed = 0;

        int r = store_execute(&store->jobs,
                              "CREATE TEMP TABLE stored (number INTEGER PRIMARY KEY); BEGIN");
        if (r == 0)
                r = store_prepare(&store->jobs, "INSERT INTO stored VALUES (?1)", &add);
        if (r == 0)
                r = store_prepare(&store->bodies,
                                  "SELECT purchase FROM body WHERE purchase BETWEEN ?1 AND ?2"
                                  " ORDER BY purchase",
                                  &row);
        if (r == 0)
                store_bind_range(row, 1, range);
        while (r >= 0 && (r = store_step(&store->bodies, row)) > 0) {
                r = list_number(store, add, sqlite3_column_int64(row, 0));
                if (visitor && visitor->progress && listed++ % STORE_PROGRESS_ROWS == 0)
                        visitor->progress(visitor->arg, 0, 0);
        }
        (void)sqlite3_finalize(row);
        (void)sqlite3_finalize(add);
        (void)sqlite3_db_release_memory(store->bodies.db); /* leaves that nobody reads soon */
        if (r == 0)
                r = store_execute(&store->jobs, "COMMIT");
        if (r < 0)
                store_rollback(&store->jobs);
        return r;
}

int store_bodies_drop_orphans(struct sqlite_store *store)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(&store->jobs,
                              "SELECT number FROM stored WHERE NOT EXISTS (SELECT 1 FROM purchase"
                              " WHERE purchase.number = stored.number AND state < 2)",
                              &row);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                store_bodies_note(store, sqlite3_column_int64(row, 0));
                if (store->drop_count == STORE_DROPS)
                        r = store_bodies_drop(store);
        }
        (void)sqlite3_finalize(row);
        if (r == 0 && store->drop_count > 0)
                r = store_bodies_drop(store);
        return r < 0 ? r : store_execute(&store->jobs, "DROP TABLE stored");
}
