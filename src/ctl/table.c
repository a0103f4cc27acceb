/*
 * table: see table.h.
 */
#include "ctl/table.h"

#include "ctl/plain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (64 << 20)
#define CELLS_MAX      (1 << 20)
#define COLUMNS_MAX    16
#define GAP            2
#define SENTENCE_LEAST 16 /* columns that are left to a sentence before others go */

struct layout {
        size_t widths[COLUMNS_MAX];
        bool shown[COLUMNS_MAX];
};

void table_init(struct table *table, const struct table_column *columns)
{
        *table = (struct table){.columns = columns};
        while (columns[table->columns_count].title)
                table->columns_count++;
        table->failed = table->columns_count > COLUMNS_MAX;
        strbuf_init(&table->text, TEXT_BYTES_MAX);
}

void table_done(struct table *table)
{
        strbuf_done(&table->text);
        free(table->ends);
        table->ends = NULL;
}

static int make_room(struct table *table)
{
        if (table->cells_count < table->cells_max)
                return 0;
        size_t max = table->cells_max > 0 ? 2 * table->cells_max : 64;
        size_t *ends = max <= CELLS_MAX ? reallocarray(table->ends, max, sizeof *ends) : NULL;
        if (!ends)
                return -ENOMEM;
        table->ends = ends;
        table->cells_max = max;
        return 0;
}

void table_add(struct table *table, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        int r = plain_vprintf(&table->text, format, arguments);
        va_end(arguments);
        if (r == 0 && make_room(table) == 0)
                table->ends[table->cells_count++] = table->text.len;
        else
                table->failed = true;
}

void table_add_row(struct table *table, const struct json_object *row)
{
        for (size_t i = 0; i < table->columns_count; i++)
                table->columns[i].add(table, row, table->columns[i].member);
}

/* How many rows are whole. */
static size_t table_rows(const struct table *table)
{
        return table->cells_count / table->columns_count;
}

static const char *cell(const struct table *table, size_t number, size_t *ret_len)
{
        size_t start = number > 0 ? table->ends[number - 1] : 0;

        *ret_len = table->ends[number] - start;
        return *ret_len > 0 ? table->text.data + start : "";
}

static void measure(const struct table *table, struct layout *layout)
{
        size_t cells = table_rows(table) * table->columns_count, len;

        for (size_t i = 0; i < table->columns_count; i++) {
                layout->shown[i] = true;
                layout->widths[i] = strlen(table->columns[i].title);
        }
        for (size_t i = 0; i < cells; i++) {
                const char *text = cell(table, i, &len);
                size_t width = plain_width(text, len),
                       *widest = &layout->widths[i % table->columns_count];
                *widest = width > *widest ? width : *widest;
        }
}

static size_t least_width(const struct table *table, const struct layout *layout)
{
        size_t sum = 0;

        for (size_t i = 0; i < table->columns_count; i++) {
                size_t width = layout->widths[i];
                if (!layout->shown[i])
                        continue;
                if (table->columns[i].text && width > SENTENCE_LEAST)
                        width = SENTENCE_LEAST;
                sum += (sum > 0 ? GAP : 0) + width;
        }
        return sum;
}

/* Leaves out the column that is needed least. Returns whether there was one. */
static bool drop_column(const struct table *table, struct layout *layout)
{
        size_t last = SIZE_MAX;

        for (size_t i = 0; i < table->columns_count; i++)
                if (layout->shown[i] && table->columns[i].rank > 0 &&
                    (last == SIZE_MAX || table->columns[i].rank > table->columns[last].rank))
                        last = i;
        if (last == SIZE_MAX)
                return false;
        layout->shown[last] = false;
        return true;
}

/* Appends one line without the blanks at its end, cut where it is too long. */
static void append_line(struct strbuf *out, const struct strbuf *line, size_t width)
{
        size_t len = line->len;

        while (len > 0 && line->data[len - 1] == ' ')
                len--;
        plain_append_cut(out, line->data, len, width);
        (void)strbuf_puts(out, "\n");
}

static void append_cell(struct strbuf *line, const char *text, size_t len, size_t width, bool right)
{
        size_t own = plain_width(text, len);
        int blanks = own < width ? (int)(width - own) : 0;

        (void)strbuf_printf(line, "%*s", line->len > 0 ? GAP : 0, "");
        if (right)
                (void)strbuf_printf(line, "%*s", blanks, "");
        (void)strbuf_append(line, text, len);
        if (!right)
                (void)strbuf_printf(line, "%*s", blanks, "");
}

/* row 0 has the titles. */
static void append_row(const struct table *table, const struct layout *layout, size_t row,
                       size_t width, struct strbuf *out)
{
        struct strbuf line;

        strbuf_init(&line, TEXT_BYTES_MAX);
        for (size_t i = 0; i < table->columns_count; i++) {
                const char *text = table->columns[i].title;
                size_t len = strlen(text);
                if (!layout->shown[i])
                        continue;
                if (row > 0)
                        text = cell(table, (row - 1) * table->columns_count + i, &len);
                append_cell(&line, text, len, layout->widths[i], table->columns[i].right);
        }
        out->failed = out->failed || line.failed;
        append_line(out, &line, width);
        strbuf_done(&line);
}

void table_append(const struct table *table, size_t width, struct strbuf *out)
{
        struct layout layout = {0};

        if (table->failed)
                out->failed = true;
        else
                measure(table, &layout);
        while (width > 0 && least_width(table, &layout) > width)
                if (!drop_column(table, &layout))
                        break;
        for (size_t row = 0; row <= table_rows(table) && !out->failed; row++)
                append_row(table, &layout, row, width, out);
}
