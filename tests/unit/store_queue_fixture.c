/*
 * store_queue_fixture: see store_queue_fixture.h.
 */
#include "store_queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include <cmocka.h>

int set_up_queue(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);
        const struct task_identity identity = {0};

        assert_non_null(f);
        for (int i = 0; i < PURCHASES; i++)
                assert_int_equal(
                        purchase_new(i + 1, &identity, strdup("a.example"), NULL, &f->purchases[i]),
                        0);
        *state = f;
        return 0;
}

int take(struct fixture *f)
{
        struct store_item *item;
        size_t rows = 0;
        int count = 0;

        f->batch = store_queue_take_locked(&f->store, &rows);
        store_queue_mark_bodies(f->batch);
        DL_COUNT(f->batch, item, count);
        return count;
}

void finish(struct fixture *f)
{
        struct store_item *item, *next;

        store_queue_done_locked(&f->store, f->batch);
        DL_FOREACH_SAFE (f->batch, item, next)
                store_record_free(store_record_of(item));
        f->batch = NULL;
}

int tear_down_queue(void **state)
{
        struct fixture *f = *state;

        while (take(f) > 0)
                finish(f);
        assert_null(f->store.items);
        assert_null(f->store.lines);
        for (int i = 0; i < PURCHASES; i++)
                purchase_drop(f->purchases[i]);
        free(f);
        return 0;
}

struct store_record *new_record(struct purchase *purchase)
{
        struct store_record *record = store_record_new();

        assert_non_null(record);
        record->must = true;
        record->purchase = purchase_ref(purchase);
        return record;
}

struct store_record *with_body(struct fixture *f, struct store_line *line,
                               struct purchase *purchase, size_t len)
{
        struct store_record *record = new_record(purchase);

        record->body = calloc(1, sizeof *record->body);
        assert_non_null(record->body);
        record->body->references = 1;
        record->body->pool = &f->pool;
        record->body->len = len;
        record->move = STORE_PURCHASE_ADD;
        record->lines[0] = line;
        return record;
}

struct store_record *moved(struct purchase *purchase, enum job_state state)
{
        struct store_record *record = new_record(purchase);

        record->move = STORE_PURCHASE_MOVE;
        record->state = state;
        return record;
}

struct store_record *dropping(struct purchase *const *purchases, size_t count)
{
        struct store_record *record = store_record_new();

        assert_non_null(record);
        record->must = true;
        record->dropped = calloc(count, sizeof(struct purchase *));
        assert_non_null(record->dropped);
        while (record->dropped_count < count) {
                record->dropped[record->dropped_count] =
                        purchase_ref(purchases[record->dropped_count]);
                record->dropped_count++;
        }
        return record;
}

struct store_record *give(struct fixture *f, struct store_record *record)
{
        store_queue_add_locked(&f->store, &record->item);
        return record;
}

void give_bodies(struct fixture *f, struct store_line *line, int64_t first_number, int count)
{
        const struct task_identity identity = {0};

        for (int i = 0; i < count; i++) {
                struct purchase *purchase;
                assert_int_equal(purchase_new(first_number + i, &identity, strdup("a.example"),
                                              NULL, &purchase),
                                 0);
                (void)give(f, with_body(f, line, purchase, LARGE));
                purchase_drop(purchase);
        }
}

struct store_fetch *give_fetch(struct fixture *f, struct purchase *purchase,
                               struct store_line *line)
{
        struct store_fetch *fetch = calloc(1, sizeof *fetch);

        assert_non_null(fetch);
        fetch->item.is_fetch = true;
        fetch->purchase = purchase;
        fetch->line = line;
        store_queue_add_locked(&f->store, &fetch->item);
        return fetch;
}
