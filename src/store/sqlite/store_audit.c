/*
 * store_audit: entries on their way to the audit file.
 *
 * The file is not the store's, and cannot be part of a transaction. So an entry is a row first,
 * durable together with what it tells of; only then it is given to the audit, and only when that
 * says that it is in the file, on disk, the row goes. Whatever a crash leaves between the two is
 * given once more at the next start, under the same number, by which the audit knows what it has;
 * so is what the audit has no memory for, after a while.
 * It knows that from the file; so that the rows are not given to another file, put in the place of
 * that one while no daemon runs, they go soon, and a clean stop leaves none that is on disk.
 *
 * Numbers are given inside the transaction. One that is rolled back told nobody of its numbers, so
 * they are given again. The highest one is noted in the same transaction: so a file that has a
 * higher one shows that the database has lost transactions (store_restore.c).
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"

#include <errno.h>
#include <stddef.h>
#include <utlist.h>

#define FORGET_AFTER_MS 1000 /* of quiet; with records entries are forgotten as they come */

void sqlite_set_audit(struct store *base, const struct store_audit *audit)
{
        struct sqlite_store *store = sqlite_store_of(base);

        store->audit = *audit;
}

int store_audit_add(struct sqlite_store *store, struct store_record *record)
{
        sqlite3_stmt *statement = store->sql[STORE_SQL_AUDIT_ADD];

        record->entry = 0;
        if (!record->audit || record->in_audit)
                return 0;
        if (!store->audit.entry)
                return -EPROTO;
        (void)sqlite3_bind_text(statement, 2, record->audit, -1, SQLITE_STATIC);
        int r = store_run_for(store, STORE_SQL_AUDIT_ADD, store->entries.next);
        if (r == 0)
                record->entry = store->entries.next++;
        return r;
}

int store_audit_note(struct sqlite_store *store)
{
        int64_t last = store->entries.next - 1;

        if (!store->audit.entry || last <= store->entries.noted)
                return 0;
        int r = store_run_for(store, STORE_SQL_AUDIT_LAST, last);
        if (r == 0)
                store->entries.noted = last;
        return r;
}

int store_audit_forget(struct sqlite_store *store)
{
        if (!store->audit.entry)
                return 0;
        int64_t last = store->audit.last_entry(store->audit.arg);
        if (last <= store->entries.forgotten)
                return 0;
        int r = store_run_for(store, STORE_SQL_AUDIT_FORGET, last);
        if (r == 0)
                store->entries.forgotten = last;
        return r;
}

bool store_audit_waits(const struct sqlite_store *store)
{
        return store->entries.next - 1 > store->entries.forgotten;
}

static void give(struct sqlite_store *store, int64_t number, const char *line)
{
        if (store->audit.entry(store->audit.arg, number, line) < 0)
                store->audit_behind = true;
}

/* Gives the audit the rows that are left; it passes over what it has. */
static int tell_rows(struct sqlite_store *store)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(&store->jobs, "SELECT entry, line FROM audit ORDER BY entry", &row);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                const char *line = (const char *)sqlite3_column_text(row, 1);
                if (line)
                        give(store, sqlite3_column_int64(row, 0), line);
                else
                        r = store_failed(&store->jobs, SQLITE_NOMEM);
        }
        (void)sqlite3_finalize(row);
        return r;
}

void store_audit_tidy(struct sqlite_store *store)
{
        const struct store_entries entries = store->entries;

        store->forget_at_ms = clock_monotonic_ms() + FORGET_AFTER_MS;
        if (store->audit_behind) {
                store->audit_behind = false;
                if (tell_rows(store) < 0)
                        store->audit_behind = true;
        }
        if (!store->audit.entry || store->audit.last_entry(store->audit.arg) <= entries.forgotten)
                return;
        int r = store_run(store, STORE_SQL_BEGIN);
        if (r == 0)
                r = store_audit_forget(store);
        if (r == 0)
                r = store_run(store, STORE_SQL_COMMIT);
        if (r < 0) {
                store_rollback(&store->jobs);
                store->entries = entries;
        } else {
                store->jobs.slack = true;
        }
}

void store_audit_tell(struct sqlite_store *store, struct store_item *batch)
{
        struct store_item *item;

        store->forget_at_ms = clock_monotonic_ms() + FORGET_AFTER_MS;
        DL_FOREACH (batch, item) {
                const struct store_record *record = store_record_of(item);
                if (record->entry > 0 && record->error == 0)
                        give(store, record->entry, record->audit);
        }
}

int store_audit_load(struct sqlite_store *store)
{
        int64_t last = 0, early = 0;

        if (!store->audit.entry)
                return 0;
        int r = sqlite_last_entry(&store->base, &last);
        if (r == 0)
                r = store_number(&store->jobs, "SELECT coalesce(last, -1) FROM audited",
                                 &store->entries.noted);
        if (r == 0)
                r = store_number(&store->jobs,
                                 "SELECT EXISTS (SELECT 1 FROM charge WHERE entry IS NOT NULL)",
                                 &early);
        if (r == 0)
                r = store_audit_forget(store);
        if (r < 0)
                return r;
        store->has_early_entry = early != 0;
        last = last > store->entries.forgotten ? last : store->entries.forgotten;
        if (last > STORE_NUMBER_MAX) {
                store_set_problem(store, "the audit has an invalid number of an entry");
                return -EBADMSG;
        }
        store->entries.next = 1 + (last > 0 ? last : 0);
        r = store_audit_note(store);
        if (r < 0)
                return r;
        store->forget_at_ms = clock_monotonic_ms() + FORGET_AFTER_MS;
        return tell_rows(store);
}
