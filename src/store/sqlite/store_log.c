/*
 * store_log: when the write-ahead log of jobs.db is written back.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"

#include <errno.h>

/*
 * Pages in the write-ahead log. It is written back when it has grown to the first. A reader who
 * keeps an old state open prevents that; up to the last it grows on, and then the store is
 * unhealthy.
 */
#define WAL_PAGES_CHECKPOINT 16384
#define WAL_PAGES_AGAIN      4096
#define WAL_PAGES_MAX        262144

/* Writes the pages in the log back. Returns whether all of them are. */
static bool write_back(struct sqlite_store *store)
{
        int pages = 0, written = 0;
        int code = sqlite3_wal_checkpoint_v2(store->jobs.db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                             &pages, &written);

        /* Where the log cannot start over yet, the next one is not with each commit. */
        store->checkpoint_at_pages = store->wal_pages + WAL_PAGES_AGAIN;
        return code == SQLITE_OK && pages == written;
}

bool store_log_checkpoint(struct sqlite_store *store)
{
        (void)store_run_for(store, STORE_SQL_MARK_END, clock_wall_ms());
        if (!write_back(store))
                return false;
        if (store_run_for(store, STORE_SQL_MARK_START, clock_wall_ms()) == 0)
                store_note_log(store);
        return true;
}

int store_log_check(struct sqlite_store *store)
{
        if (store->wal_pages < WAL_PAGES_MAX || (write_back(store) && store_log_checkpoint(store)))
                return 0;
        store_set_problem(store, "%.200s-wal is too long: somebody reads the file all the time",
                          store->jobs.path);
        return -ENOSPC;
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
        struct sqlite_store *store = arg;

        (void)db;
        (void)name;
        if (pages < store->wal_pages) /* it was written back whole, and starts over */
                store->checkpoint_at_pages = WAL_PAGES_CHECKPOINT;
        store->wal_pages = pages;
        return SQLITE_OK;
}

void store_log_begin(struct sqlite_store *store)
{
        (void)store_log_checkpoint(store); /* what an earlier run and the loading have left */
        store->checkpoint_at_pages = WAL_PAGES_CHECKPOINT;
        (void)sqlite3_wal_hook(store->jobs.db, on_commit, store);
}

void store_log_grown(struct sqlite_store *store)
{
        if (store->wal_pages >= store->checkpoint_at_pages)
                (void)store_log_checkpoint(store);
}
