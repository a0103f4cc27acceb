/*
 * backend: the functions of store.h. Each calls the backend's.
 */
#include "store/backend.h"

#include <errno.h>

void store_set_audit(struct store *store, const struct store_audit *audit)
{
        store->backend->set_audit(store, audit);
}

int store_load(struct store *store, const struct store_filter *filter,
               int64_t finished_after_wall_ms, const struct store_visitor *visitor,
               struct strbuf *problem)
{
        return store->backend->load(store, filter, finished_after_wall_ms, visitor, problem);
}

int store_ledger(struct store *store, const struct store_filter *filter,
                 void (*row)(void *arg, const struct store_ledger_row *row), void *arg)
{
        return store->backend->ledger(store, filter, row, arg);
}

int store_usage(struct store *store, const struct store_filter *filter,
                void (*row)(void *arg, const struct store_usage_row *row), void *arg)
{
        return store->backend->usage(store, filter, row, arg);
}

int store_start(struct store *store)
{
        return store->backend->start(store);
}

int64_t store_next_number(struct store *store)
{
        return store->backend->next_number(store);
}

void store_write(struct store *store, struct store_record *record)
{
        store->backend->write(store, record);
}

void store_fetch_body(struct store *store, struct store_fetch *fetch)
{
        store->backend->fetch_body(store, fetch);
}

int store_forget(struct store *store, const struct job *gone)
{
        return store->backend->forget(store, gone);
}

bool store_forgets(struct store *store)
{
        return store->backend->forgets(store);
}

bool store_healthy(struct store *store)
{
        return store->backend->healthy(store);
}

void store_problem(struct store *store, char *ret_text, size_t size)
{
        store->backend->problem(store, ret_text, size);
}

void store_give_up(struct store *store)
{
        store->backend->give_up(store);
}

size_t store_close(struct store *store)
{
        return store ? store->backend->close(store) : 0;
}

/* ---- stores in files ---- */

bool store_detached(struct store *store)
{
        const struct store_files *files = store->backend->files;

        return files && files->detached(store);
}

void store_look(struct store *store)
{
        if (store->backend->files)
                store->backend->files->look(store);
}

bool store_lock_was_made(struct store *store)
{
        const struct store_files *files = store->backend->files;

        return files && files->lock_was_made(store);
}

enum store_loss store_loss(struct store *store)
{
        const struct store_files *files = store->backend->files;

        return files ? files->loss(store) : STORE_LOSES_NOTHING;
}

int store_last_entry(struct store *store, int64_t *ret_entry)
{
        if (store->backend->files)
                return store->backend->files->last_entry(store, ret_entry);
        *ret_entry = -1;
        return 0;
}

bool store_log_is_lost(struct store *store)
{
        const struct store_files *files = store->backend->files;

        return files && files->log_is_lost(store);
}

int store_restore(struct store *store, const struct store_losses *losses,
                  struct store_restored *ret_restored)
{
        const struct store_files *files = store->backend->files;

        return files ? files->restore(store, losses, ret_restored) : -ENOTSUP;
}
