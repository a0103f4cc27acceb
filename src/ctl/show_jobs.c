/*
 * show_jobs: the pages of `jobs`, `job` and `cancel`.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/plain.h"
#include "ctl/show.h"
#include "ctl/table.h"

#include <stdbool.h>
#include <string.h>

#define TROUBLE_BYTES_MAX 4096

static const struct table_column columns[] = {
        {.title = "ID"},
        {.title = "CLIENT"},
        {.title = "STATE"},
        {.title = "UPSTREAM", .rank = 2},
        {.title = "SOURCE", .rank = 4},
        {.title = "AGE", .right = true, .rank = 1},
        {.title = "LEFT", .right = true, .rank = 3},
        {.title = "TRIES", .right = true, .rank = 5},
        {.title = "TROUBLE", .text = true, .rank = 6},
};

/* Appends "pro: Couldn't connect to server"; nothing where there was no trouble. */
static void append_trouble(const struct json_object *job, struct strbuf *text)
{
        const char *trouble = field_text(job, "trouble");
        const char *upstream = field_text(job, "trouble_upstream");

        if (trouble)
                (void)strbuf_printf(text, "%s%s%s", upstream ? upstream : "", upstream ? ": " : "",
                                    trouble);
}

static void add_trouble(struct table *table, const struct json_object *job)
{
        struct strbuf text;

        strbuf_init(&text, TROUBLE_BYTES_MAX);
        append_trouble(job, &text);
        table_add(table, "%s", text.len > 0 ? text.data : "-");
        strbuf_done(&text);
}

void show_jobs(const struct json_object *answer, size_t width, struct strbuf *out)
{
        size_t count = field_list_count(answer, "jobs");
        double total = field_amount(answer, "total");
        struct table table;

        if (count == 0) {
                (void)strbuf_puts(out, "no unfinished jobs\n");
                return;
        }
        table_init(&table, columns, sizeof columns / sizeof columns[0]);
        for (size_t i = 0; i < count; i++) {
                const struct json_object *job = field_list_item(answer, "jobs", i);
                show_text_cell(&table, job, "id");
                show_text_cell(&table, job, "client");
                show_text_cell(&table, job, "state");
                show_text_cell(&table, job, "upstream");
                show_text_cell(&table, job, "source");
                show_duration_cell(&table, job, "age");
                show_duration_cell(&table, job, "deadline_in");
                show_number_cell(&table, job, "attempts");
                add_trouble(&table, job);
        }
        (void)table_append(&table, width, out);
        if (total > (double)count)
                (void)strbuf_printf(out, "the %zu oldest of %s jobs\n", count,
                                    format_number(total).text);
        table_done(&table);
}

static void show_text(const struct json_object *job, const char *name, struct strbuf *out)
{
        const char *text = field_text(job, name);

        if (text && text[0] != '\0')
                show_line(out, name, "%s", text);
}

static void show_duration(const struct json_object *job, const char *name, const char *label,
                          struct strbuf *out)
{
        double seconds;

        if (field_number(job, name, &seconds))
                show_line(out, label, "%s", format_duration(seconds).text);
}

static void show_trouble(const struct json_object *job, struct strbuf *out)
{
        bool waits = strcmp(field_text_or(job, "state", ""), "queued") == 0;
        struct strbuf text;

        strbuf_init(&text, TROUBLE_BYTES_MAX);
        append_trouble(job, &text);
        if (text.len > 0)
                show_line(out, "trouble", "%s%s", text.data,
                          waits ? "; it waits for its next try" : "");
        strbuf_done(&text);
}

void show_job(const struct json_object *answer, size_t width, struct strbuf *out)
{
        double attempts;

        (void)width;
        show_text(answer, "id", out);
        show_text(answer, "client", out);
        show_text(answer, "state", out);
        show_text(answer, "code", out);
        show_text(answer, "message", out);
        show_trouble(answer, out);
        show_text(answer, "source", out);
        show_text(answer, "upstream", out);
        if (field_number(answer, "attempts", &attempts))
                show_line(out, "tries", "%s", format_number(attempts).text);
        show_text(answer, "created", out);
        show_text(answer, "finished", out);
        show_duration(answer, "age", "age", out);
        show_duration(answer, "deadline_in", "time left", out);
}

void show_cancelled(const struct json_object *answer, size_t width, struct strbuf *out)
{
        (void)width;
        (void)plain_append(out, field_text_or(answer, "id", "?"));
        (void)strbuf_puts(out, " is ");
        (void)plain_append(out, field_text_or(answer, "state", "?"));
        (void)strbuf_puts(out, "\n");
}
