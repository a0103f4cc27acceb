/*
 * show_jobs: the pages of `jobs`, `job` and `cancel`.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/show.h"
#include "ctl/table.h"

#include <stdbool.h>
#include <string.h>

/* "pro: Couldn't connect to server"; "-" where there was no trouble. */
static void add_trouble(struct table *table, const struct json_object *job, const char *name)
{
        const char *upstream = field_text(job, "trouble_upstream");

        if (upstream && field_text(job, name))
                table_add(table, "%s: %s", upstream, field_text(job, name));
        else
                show_text_cell(table, job, name);
}

static const struct table_column columns[] = {
        {"ID", "id", show_text_cell, .rank = 0},
        {"CLIENT", "client", show_text_cell, .rank = 0},
        {"STATE", "state", show_text_cell, .rank = 0},
        {"UPSTREAM", "upstream", show_text_cell, .rank = 2},
        {"SOURCE", "source", show_text_cell, .rank = 4},
        {"AGE", "age", show_duration_cell, .right = true, .rank = 1},
        {"LEFT", "deadline_in", show_duration_cell, .right = true, .rank = 3},
        {"TRIES", "attempts", show_number_cell, .right = true, .rank = 5},
        {"TROUBLE", "trouble", add_trouble, .text = true, .rank = 6},
        {.title = NULL},
};

void show_jobs(const struct json_object *answer, size_t width, struct strbuf *out)
{
        size_t count = field_list_count(answer, "jobs");
        double total = field_amount(answer, "total");

        if (count == 0) {
                (void)strbuf_puts(out, "no unfinished jobs\n");
                return;
        }
        show_list(answer, "jobs", columns, width, out);
        if (total > (double)count)
                (void)strbuf_printf(out, "the %zu oldest of %s jobs\n", count,
                                    format_number(total).text);
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
        const char *trouble = field_text_or(job, "trouble", "");
        const char *upstream = field_text_or(job, "trouble_upstream", "");
        bool waits = strcmp(field_text_or(job, "state", ""), "queued") == 0;

        if (trouble[0] != '\0')
                show_line(out, "trouble", "%s%s%s%s", upstream, upstream[0] != '\0' ? ": " : "",
                          trouble, waits ? "; it waits for its next try" : "");
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
        show_line(out, NULL, "%s is %s", field_text_or(answer, "id", "?"),
                  field_text_or(answer, "state", "?"));
}
