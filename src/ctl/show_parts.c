/*
 * show_parts: what the pages of show.h are made of.
 */
#include "ctl/show.h"

#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <json-c/json.h>
#include <stdarg.h>

#define LABEL_COLUMNS 13

void show_line(struct strbuf *out, const char *label, const char *format, ...)
{
        va_list arguments;

        if (label)
                (void)strbuf_printf(out, "%-*s", LABEL_COLUMNS, label);
        va_start(arguments, format);
        (void)plain_vprintf(out, format, arguments);
        va_end(arguments);
        (void)strbuf_puts(out, "\n");
}

void show_list(const struct json_object *answer, const char *name,
               const struct table_column *columns, size_t width, struct strbuf *out)
{
        size_t count = field_list_count(answer, name);
        struct table table;

        if (count == 0) {
                (void)strbuf_printf(out, "no %s\n", name);
                return;
        }
        table_init(&table, columns);
        for (size_t i = 0; i < count; i++)
                table_add_row(&table, field_list_item(answer, name, i));
        table_append(&table, width, out);
        table_done(&table);
}

void show_warnings(const struct json_object *object, const char *name, const char *total_name,
                   const char *label, struct strbuf *out)
{
        size_t shown = field_list_count(object, name);
        double total = field_amount(object, total_name);

        for (size_t i = 0; i < shown; i++) {
                struct json_object *text = field_list_item(object, name, i);
                if (json_object_is_type(text, json_type_string))
                        show_line(out, label, "%s", json_object_get_string(text));
        }
        if (total > (double)shown)
                show_line(out, label, "and %s more: solvegate -t shows all",
                          format_number(total - (double)shown).text);
}

void show_number_cell(struct table *table, const struct json_object *object, const char *name)
{
        double number;

        if (field_number(object, name, &number))
                table_add(table, "%s", format_number(number).text);
        else
                table_add(table, "-");
}

void show_duration_cell(struct table *table, const struct json_object *object, const char *name)
{
        double seconds;

        if (field_number(object, name, &seconds))
                table_add(table, "%s", format_duration(seconds).text);
        else
                table_add(table, "-");
}

void show_share(struct table *table, double number, const struct json_object *object,
                const char *max)
{
        double limit;

        if (field_number(object, max, &limit))
                table_add(table, "%s of %s", format_number(number).text, format_number(limit).text);
        else
                table_add(table, "%s", format_number(number).text);
}

void show_text_cell(struct table *table, const struct json_object *object, const char *name)
{
        const char *text = field_text(object, name);

        table_add(table, "%s", text && text[0] != '\0' ? text : "-");
}

int64_t show_sum(const struct json_object *object)
{
        int64_t sum = 0;

        if (!object)
                return 0;
        json_object_object_foreach(object, name, value)
        {
                (void)name;
                if (json_object_is_type(value, json_type_int) &&
                    __builtin_add_overflow(sum, json_object_get_int64(value), &sum))
                        return INT64_MAX;
        }
        return sum;
}
