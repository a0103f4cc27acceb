/*
 * store_line: where records and fetches wait for the store's writer. The types that a purchase and
 * a client have in them; all is the store's own (store_queue.c).
 */
#ifndef SOLVEGATE_JOB_STORE_LINE_H
#define SOLVEGATE_JOB_STORE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct body;

/* Guarded by the store's mutex, like the rest; while it is taken, the writer's. */
struct store_item {
        bool is_fetch;
        bool taken;     /* by the writer, and not written yet */
        bool with_next; /* valid in the queue: goes into the same transaction as the next one */
        uint64_t order; /* in which they were given */
        struct store_group *group;        /* in which it waits; NULL: in the queue, or taken */
        struct store_item *prev, *next;   /* in the queue, the group or a batch */
        struct store_item *older, *newer; /* among all items, in the order of order */
};

/* What waits of one purchase in a line, in order. All zero: nothing. */
struct store_group {
        struct store_item *items;        /* NULL: none */
        struct store_line *line;         /* valid with items */
        struct store_group *prev, *next; /* likewise: in the line */
        bool urgent; /* valid with items: it is being sent, so it is before those that are not */
        /* the writer's, during a batch */
        bool body_superfluous;   /* a later record drops it, or says that it is accepted or final */
        const struct body *body; /* the last that an earlier record of it brings; NULL: none */
};

/* A client's line: its purchases that wait with a body to be written or read. All zero: none. */
struct store_line {
        struct store_group *groups;
        struct store_group *last_urgent; /* in groups, the first of which are urgent; NULL: none */
        size_t count;                    /* of groups */
        struct store_line *prev, *next;  /* valid with groups: in the row of lines */
};

#endif
