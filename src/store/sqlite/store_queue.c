/*
 * store_queue: in which order records are written.
 *
 * Bodies take long to write, and a client can have hundreds of megabytes of them. So there are two
 * places. The queue has the records without a body; it is served first. Each client has a line of
 * the purchases that have a body to be written or read; lines take turns, a purchase in a turn. In
 * a line, purchases that are being sent come before the others. Both are first in, first out.
 *
 * What the order must keep:
 *
 * - The records and fetches of one purchase keep their order: a sending never overtakes the record
 *   that queues the purchase again, nor a deletion the record that adds the row. So whatever names
 *   a purchase of which something waits in a line waits behind it, in the purchase's group.
 *   While a purchase waits in a line, new records of it go there. Records of it that were in the
 *   queue before are served first: nothing is taken from a line while the queue has something left.
 * - A record that drops purchases, or says that one is accepted or final, takes their groups out of
 *   the lines with it: they go to the queue before it, all in one transaction. No body is
 *   written for them, as none is needed when that is committed: together they are written or not.
 * - The end of a job by itself needs no order with the records of its purchase: a row that has
 *   ended stays as it is when the job is added later (STORE_SQL_JOB_ADD).
 * - Deletions that have time come after all records that were given before them (store_forget).
 * - Records that return from a transaction that failed are the first in the queue, in their order.
 *
 * Between purchases there is no order: no row of one refers to another's.
 */
#include "store/sqlite/store_private.h"

#include "job/body.h"
#include "job/purchase.h"

#include <utlist.h>

/* How much of bodies a transaction has besides its first body, which may be of any size. SQLite's
 * cache holds as much. */
#define BATCH_BYTES (4 << 20)

/* A client that joins a purchase and has more purchases than this in its own line waits in the line
 * in which that purchase is. */
#define SHORT_LINE 64

/* ---- the places ---- */

/* Urgent groups are before the others, both in the order in which they came. */
static void insert_group(struct store_line *line, struct store_group *group)
{
        if (group->urgent) {
                DL_APPEND_ELEM(line->groups, line->last_urgent, group);
                line->last_urgent = group;
        } else {
                DL_APPEND(line->groups, group);
        }
}

static void add_to_line(struct sqlite_store *store, struct store_line *line,
                        struct store_group *group)
{
        if (!line->groups)
                DL_APPEND(store->lines, line);
        insert_group(line, group);
        line->count++;
        group->line = line;
}

static void remove_from_line(struct sqlite_store *store, struct store_group *group)
{
        struct store_line *line = group->line;

        if (line->last_urgent == group)
                line->last_urgent = group == line->groups ? NULL : group->prev;
        DL_DELETE(line->groups, group);
        line->count--;
        if (!line->groups)
                DL_DELETE(store->lines, line);
        group->line = NULL;
}

static void append_to_group(struct store_group *group, struct store_item *item)
{
        DL_APPEND(group->items, item);
        item->group = group;
}

/* Removes an item from the queue or group in which it waits. */
static void remove_item(struct sqlite_store *store, struct store_item *item)
{
        struct store_group *group = item->group;

        if (!group) {
                DL_DELETE(store->queue, item);
                return;
        }
        DL_DELETE(group->items, item);
        item->group = NULL;
        if (group->items)
                return;
        remove_from_line(store, group);
        group->urgent = false;
}

static void append_to_queue(struct sqlite_store *store, struct store_item *item, bool with_next)
{
        item->with_next = with_next;
        DL_APPEND(store->queue, item);
}

/* ---- records that come ---- */

static bool drops_purchase(const struct store_record *record)
{
        return record->purchase && record->move == STORE_PURCHASE_MOVE &&
               record->state >= JOB_ACCEPTED;
}

/* Moves what waits of a purchase to the end of the queue; with_next: the record that makes its body
 * superfluous follows. */
static void empty_group(struct sqlite_store *store, struct store_group *group, bool with_next)
{
        struct store_item *item;

        while ((item = group->items)) {
                remove_item(store, item);
                append_to_queue(store, item, with_next);
        }
}

/* The shorter of the lines in which a purchase may begin to wait, or NULL. */
static struct store_line *choose_line(struct store_line *const lines[2])
{
        if (!lines[0] || !lines[1])
                return lines[0] ? lines[0] : lines[1];
        return lines[1]->count < lines[0]->count ? lines[1] : lines[0];
}

/* Whether fewer groups would be before a group in another line than are before it now. Looks at
 * those of a short line only. */
static bool waits_less(const struct store_line *line, const struct store_group *group)
{
        const struct store_group *before = group->line->groups;
        size_t more = line->count;

        if (line == group->line || more > SHORT_LINE)
                return false;
        for (; before != group && more > 0; more--)
                before = before->next;
        return before != group;
}

/*
 * Adds to a group that waits, or begins one. A group that waits goes on in the line of a client
 * that joins if less waits before it there, so a client that joins waits for no more than its own
 * bodies, and the payer no longer than before. An urgent item makes its group urgent: a purchase
 * that is being sent has a slot meanwhile.
 */
static void add_to_group(struct sqlite_store *store, struct store_group *group,
                         struct store_item *item, struct store_line *const lines[2], bool urgent)
{
        struct store_line *line = choose_line(lines);
        bool rises = urgent && !group->urgent;

        group->urgent = group->urgent || urgent;
        if (!group->line) {
                add_to_line(store, line ? line : &store->line, group);
        } else if (line && waits_less(line, group)) {
                remove_from_line(store, group);
                add_to_line(store, line, group);
        } else if (rises) {
                DL_DELETE(group->line->groups, group);
                insert_group(group->line, group);
        }
        append_to_group(group, item);
}

/* Returns whether the purchase of a record is being sent, so it has a slot. */
static bool is_urgent(const struct store_record *record)
{
        return record->move == STORE_PURCHASE_MOVE && record->state == JOB_SENDING;
}

static void add_record(struct sqlite_store *store, struct store_record *record)
{
        struct store_group *group = record->purchase ? &record->purchase->store_group : NULL;
        bool drops = drops_purchase(record);

        if (group && (drops || record->dropped_count > 0))
                empty_group(store, group, drops);
        for (size_t i = 0; i < record->dropped_count; i++)
                empty_group(store, &record->dropped[i]->store_group, true);
        if (group && (group->items || (record->body && !drops && record->dropped_count == 0)))
                add_to_group(store, group, &record->item, record->lines, is_urgent(record));
        else
                append_to_queue(store, &record->item, false);
}

static void add_fetch(struct sqlite_store *store, struct store_fetch *fetch)
{
        struct store_line *const lines[2] = {fetch->line};

        if (fetch->purchase)
                add_to_group(store, &fetch->purchase->store_group, &fetch->item, lines, true);
        else
                append_to_queue(store, &fetch->item, false);
}

void store_queue_add_locked(struct sqlite_store *store, struct store_item *item)
{
        item->order = store->order++;
        item->taken = false;
        item->group = NULL;
        DL_APPEND2(store->items, item, older, newer);
        if (item->is_fetch)
                add_fetch(store, store_fetch_of(item));
        else
                add_record(store, store_record_of(item));
}

/* ---- what is taken ---- */

/* What a transaction has, or is to get. */
struct load {
        size_t steps, rows;
        size_t bodies;           /* how many */
        size_t bytes;            /* of these; in a transaction without the first one's */
        const struct body *last; /* of these */
};

/* How much of a transaction a record is. No more bodies go with it. */
static size_t steps_of(const struct store_record *record)
{
        return 1 + (record->ending_count > record->dropped_count ? record->ending_count
                                                                 : record->dropped_count);
}

/* Jobs that share a purchase, and a sending, may each bring the same body: it is written once. */
static void add_load(struct load *load, const struct store_record *record, bool needs_body)
{
        size_t steps = steps_of(record);

        load->steps += steps;
        load->rows += steps + record->job_count + record->forget_count;
        if (record->body && needs_body && record->body != load->last) {
                load->bodies++;
                load->bytes += record->body->len;
                load->last = record->body;
        }
}

static bool fits(const struct load *load, const struct load *more)
{
        if (load->steps == 0)
                return true;
        return load->steps + more->steps <= STORE_BATCH_STEPS &&
               load->rows + more->rows <= STORE_BATCH_ROWS &&
               (load->bodies == 0 || more->bodies == 0 || load->bytes + more->bytes <= BATCH_BYTES);
}

/* Adds an item to a batch that it fits into. */
static void take(struct sqlite_store *store, struct store_item **batch, struct load *load,
                 const struct load *more, struct store_item *item)
{
        remove_item(store, item);
        item->taken = true;
        DL_APPEND(*batch, item);
        load->bytes += load->bodies == 0 ? 0 : more->bytes;
        load->steps += more->steps;
        load->rows += more->rows;
        load->bodies += more->bodies;
        load->last = more->last;
}

/* Takes the first of the queue, with what goes with it, if that fits. Returns whether it did. */
static bool take_first(struct sqlite_store *store, struct store_item **batch, struct load *load)
{
        struct store_item *item = store->queue, *end = item;
        struct load chain = {.last = load->last};

        do {
                add_load(&chain, store_record_of(end), !end->with_next);
                end = end->next;
        } while (end && !end->is_fetch && end->prev->with_next);
        if (!fits(load, &chain))
                return false;
        for (struct store_item *next; item != end; item = next) {
                struct load more = {.last = load->last};
                next = item->next;
                add_load(&more, store_record_of(item), !item->with_next);
                take(store, batch, load, &more, item);
        }
        return true;
}

/* Takes the records that fit of the purchase whose turn it is in a line. Returns whether there were
 * any. */
static bool take_turn(struct sqlite_store *store, struct store_item **batch, struct load *load,
                      struct store_line *line)
{
        struct store_group *group = line->groups;
        struct store_item *item;
        bool took_any = false;

        while ((item = group->items) && !item->is_fetch) {
                struct load more = {.last = load->last};
                add_load(&more, store_record_of(item), true);
                if (!fits(load, &more))
                        break;
                take(store, batch, load, &more, item);
                took_any = true;
        }
        return took_any;
}

/* Moves a line that has had its turn behind the others. */
static void move_to_end(struct sqlite_store *store, struct store_line *line)
{
        if (!line->groups)
                return;
        DL_DELETE(store->lines, line);
        DL_APPEND(store->lines, line);
}

/* Gives each line a turn. If the next record of a line does not fit, the line keeps its place, so
 * it becomes the first. Returns whether a record was taken. */
static bool take_round(struct sqlite_store *store, struct store_item **batch, struct load *load)
{
        struct store_line *last = store->lines ? store->lines->prev : NULL;
        struct store_line *line = store->lines, *next;
        bool took_any = false, lines_left = line != NULL;

        for (; lines_left; line = next) {
                lines_left = line != last;
                next = line->next;
                if (take_turn(store, batch, load, line)) {
                        move_to_end(store, line);
                        took_any = true;
                }
        }
        return took_any;
}

struct store_item *store_queue_take_locked(struct sqlite_store *store, size_t *ret_rows)
{
        struct store_item *batch = NULL;
        struct load load = {0};

        while (store->queue && !store->queue->is_fetch && take_first(store, &batch, &load))
                ;
        while (!store->queue && take_round(store, &batch, &load))
                ;
        *ret_rows = load.rows;
        return batch;
}

/* A fetch whose turn it is, or NULL. */
static struct store_item *find_fetch(const struct sqlite_store *store)
{
        struct store_line *line;

        if (store->queue)
                return store->queue->is_fetch ? store->queue : NULL;
        DL_FOREACH (store->lines, line) {
                if (line->groups->items->is_fetch)
                        return line->groups->items;
                if (!atomic_load(&store->unhealthy)) /* else no record is written before */
                        return NULL;
        }
        return NULL;
}

bool store_queue_fetches_locked(const struct sqlite_store *store)
{
        return find_fetch(store) != NULL;
}

struct store_fetch *store_queue_take_fetch_locked(struct sqlite_store *store)
{
        struct store_item *item = find_fetch(store);

        if (!item)
                return NULL;
        struct store_line *line = item->group ? item->group->line : NULL;
        remove_item(store, item);
        DL_DELETE2(store->items, item, older, newer);
        if (line)
                move_to_end(store, line);
        return store_fetch_of(item);
}

/* ---- what was taken ---- */

/* Marks the bodies that no later record of the batch makes superfluous. */
static void mark_wanted(struct store_item *batch)
{
        struct store_item *item = batch ? batch->prev : NULL;
        bool items_left = item != NULL;

        for (; items_left; item = item->prev) {
                struct store_record *record = store_record_of(item);
                items_left = item != batch;
                record->body_needed =
                        record->body &&
                        !(record->purchase && record->purchase->store_group.body_superfluous);
                if (record->error < 0)
                        continue;
                if (drops_purchase(record))
                        record->purchase->store_group.body_superfluous = true;
                for (size_t i = 0; i < record->dropped_count; i++)
                        record->dropped[i]->store_group.body_superfluous = true;
        }
}

/* Unmarks the bodies that an earlier record of the batch brings. One with an error brings none. */
static void unmark_repeated(struct store_item *batch)
{
        struct store_item *item;

        DL_FOREACH (batch, item) {
                struct store_record *record = store_record_of(item);
                if (!record->body_needed || !record->purchase || record->error < 0)
                        continue;
                struct store_group *group = &record->purchase->store_group;
                record->body_needed = group->body != record->body;
                group->body = record->body;
        }
}

void store_queue_mark_bodies(struct store_item *batch)
{
        struct store_item *item;

        mark_wanted(batch);
        unmark_repeated(batch);
        DL_FOREACH (batch, item) {
                const struct store_record *record = store_record_of(item);
                if (record->purchase) {
                        record->purchase->store_group.body_superfluous = false;
                        record->purchase->store_group.body = NULL;
                }
                for (size_t i = 0; i < record->dropped_count; i++)
                        record->dropped[i]->store_group.body_superfluous = false;
        }
}

void store_queue_done_locked(struct sqlite_store *store, struct store_item *batch)
{
        struct store_item *item;

        DL_FOREACH (batch, item)
                DL_DELETE2(store->items, item, older, newer);
}

void store_queue_return_locked(struct sqlite_store *store, struct store_item *batch)
{
        struct store_item *item;

        DL_FOREACH (batch, item) {
                store_record_of(item)->error = 0;
                item->taken = false;
        }
        DL_CONCAT(batch, store->queue);
        store->queue = batch;
}

void store_queue_give_up_locked(struct sqlite_store *store, struct store_item **batch,
                                struct store_item **given_up, bool must_too)
{
        struct store_item *item, *next;

        DL_FOREACH_SAFE2 (store->items, item, next, newer) {
                if (item->is_fetch || (store_record_of(item)->must && !(must_too && item->taken)))
                        continue;
                if (item->taken)
                        DL_DELETE(*batch, item);
                else
                        remove_item(store, item);
                DL_DELETE2(store->items, item, older, newer);
                DL_APPEND(*given_up, item);
        }
}

uint64_t store_queue_oldest_locked(const struct sqlite_store *store)
{
        const struct store_item *item = store->items;

        while (item && item->taken)
                item = item->newer;
        return item ? item->order : UINT64_MAX;
}
