/*
 * table: rows of text in columns that are as wide as they need, and fit the terminal.
 *
 * Where it is too narrow, columns are left out by their rank, and then lines are cut. What is put
 * into a cell is escaped (ctl/plain.h). A table is a value: table_done() frees what it holds. A
 * failure stays, and shows as a failed strbuf in table_append().
 */
#ifndef SOLVEGATE_CTL_TABLE_H
#define SOLVEGATE_CTL_TABLE_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct table;

struct table_column {
        const char *title;

        /* What fills its cell of a row, see table_add_row(). */
        const char *member;
        void (*add)(struct table *table, const struct json_object *row, const char *member);

        bool right;    /* numbers */
        bool text;     /* a sentence, of which the beginning tells enough; the last column only */
        unsigned rank; /* the column of the highest goes first; 0: it stays */
};

struct table {
        const struct table_column *columns; /* borrowed */
        size_t columns_count;
        struct strbuf text; /* of all cells, one behind the other */
        size_t *ends;       /* of each cell in text */
        size_t cells_count;
        size_t cells_max;
        bool failed;
};

/* Makes an empty table of columns, which end with one without a title. */
void table_init(struct table *table, const struct table_column *columns);
void table_done(struct table *table);

/* Fills the next cell, row by row. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills a row: each column has a function that adds its cell. */
void table_add_row(struct table *table, const struct json_object *row);

/* Appends the titles and the rows. width: columns of the terminal, 0: any. */
void table_append(const struct table *table, size_t width, struct strbuf *out);

#endif
