/*
 * backend: the functions that a backend of the store provides. Those of store.h call them; it says
 * what each does, which thread may call it, and when.
 */
#ifndef SOLVEGATE_STORE_BACKEND_H
#define SOLVEGATE_STORE_BACKEND_H

#include "store/store.h"

struct store_backend {
        void (*set_audit)(struct store *store, const struct store_audit *audit);
        int (*load)(struct store *store, const struct store_filter *filter,
                    int64_t finished_after_wall_ms, const struct store_visitor *visitor,
                    struct strbuf *problem);
        int (*ledger)(struct store *store, const struct store_filter *filter,
                      void (*row)(void *arg, const struct store_ledger_row *row), void *arg);
        int (*usage)(struct store *store, const struct store_filter *filter,
                     void (*row)(void *arg, const struct store_usage_row *row), void *arg);
        int (*start)(struct store *store);
        int64_t (*next_number)(struct store *store);
        void (*write)(struct store *store, struct store_record *record);
        void (*fetch_body)(struct store *store, struct store_fetch *fetch);
        int (*forget)(struct store *store, const struct job *gone);
        bool (*forgets)(struct store *store);
        bool (*healthy)(struct store *store);
        void (*problem)(struct store *store, char *ret_text, size_t size);
        void (*give_up)(struct store *store);
        size_t (*close)(struct store *store);

        const struct store_files *files; /* NULL: it has no files */
};

/* Of a store in files: what can become of them behind its back. */
struct store_files {
        bool (*detached)(struct store *store);
        void (*look)(struct store *store);
        bool (*lock_was_made)(struct store *store);
        enum store_loss (*loss)(struct store *store);
        int (*last_entry)(struct store *store, int64_t *ret_entry);
        bool (*log_is_lost)(struct store *store);
        int (*restore)(struct store *store, const struct store_losses *losses,
                       struct store_restored *ret_restored);
};

/* The first member of a backend's own struct. */
struct store {
        const struct store_backend *backend;
};

#endif
