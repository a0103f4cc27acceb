/*
 * store_queue_fixture: the order in which the store writes records, without a disk: bodies have a
 * length and no bytes.
 */
#ifndef SOLVEGATE_TESTS_STORE_QUEUE_FIXTURE_H
#define SOLVEGATE_TESTS_STORE_QUEUE_FIXTURE_H

#include "job/body.h"
#include "job/purchase.h"
#include "store/sqlite/store_private.h"

#define LARGE     8000000
#define PURCHASES 8

struct fixture {
        struct sqlite_store store;
        struct body_pool pool;
        struct store_line big, small; /* of two clients */
        struct purchase *purchases[PURCHASES];
        struct store_item *batch; /* the last one */
};

int set_up_queue(void **state);
int tear_down_queue(void **state);

/* Takes what goes into the next transaction. Returns how many records. */
int take(struct fixture *f);

/* Ends the transaction well. */
void finish(struct fixture *f);

/* Records that must be written, of one purchase or of several. */
struct store_record *new_record(struct purchase *purchase);
struct store_record *with_body(struct fixture *f, struct store_line *line,
                               struct purchase *purchase, size_t len);
struct store_record *moved(struct purchase *purchase, enum job_state state);
struct store_record *dropping(struct purchase *const *purchases, size_t count);

/* Gives a record to the store. Returns it. */
struct store_record *give(struct fixture *f, struct store_record *record);

/* Gives purchases of one client, each with a large body. */
void give_bodies(struct fixture *f, struct store_line *line, int64_t first_number, int count);

/* Gives a body to be read, which the caller frees once it was taken. */
struct store_fetch *give_fetch(struct fixture *f, struct purchase *purchase,
                               struct store_line *line);

#endif
