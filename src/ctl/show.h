/*
 * show: the daemon's answers as people read them. Each function appends lines to out; width is that
 * of the terminal, 0 where there is none. What is missing in an answer is left out or shown as "-".
 */
#ifndef SOLVEGATE_CTL_SHOW_H
#define SOLVEGATE_CTL_SHOW_H

#include <stddef.h>
#include <stdint.h>

struct json_object;
struct strbuf;
struct table;
struct table_column;

void show_status(const struct json_object *answer, size_t width, struct strbuf *out);
void show_jobs(const struct json_object *answer, size_t width, struct strbuf *out);
void show_job(const struct json_object *answer, size_t width, struct strbuf *out);
void show_cancelled(const struct json_object *answer, size_t width, struct strbuf *out);
void show_clients(const struct json_object *answer, size_t width, struct strbuf *out);
void show_usage(const struct json_object *answer, size_t width, struct strbuf *out);
void show_upstreams(const struct json_object *answer, size_t width, struct strbuf *out);
void show_balance(const struct json_object *answer, size_t width, struct strbuf *out);
void show_state(const struct json_object *answer, size_t width, struct strbuf *out);
void show_reload(const struct json_object *answer, size_t width, struct strbuf *out);

/* Parts that pages share: the first line, what an operator should look at, and the work there is.
 */
void show_headline(const struct json_object *status, struct strbuf *out);
void show_attention(const struct json_object *status, struct strbuf *out);
void show_work(const struct json_object *status, struct strbuf *out);

/* What a configuration is warned of: a line each, and how many more there are. */
void show_warnings(const struct json_object *object, const char *name, const char *total_name,
                   const char *label, struct strbuf *out);

/* The upstreams of an answer: a table, and a line for each that did not tell its balance. */
void show_accounts(const struct json_object *answer, size_t width, struct strbuf *out);
void show_balance_failures(const struct json_object *answer, struct strbuf *out);

/* One line "LABEL  TEXT", escaped, the texts below each other; label NULL: the text alone. */
void show_line(struct strbuf *out, const char *label, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* A list of an answer as a table; "no NAME" if it is empty. */
void show_list(const struct json_object *answer, const char *name,
               const struct table_column *columns, size_t width, struct strbuf *out);

/* Fills the next cell with "NUMBER of MAX", max being a member of object; without it "NUMBER". */
void show_share(struct table *table, double number, const struct json_object *object,
                const char *max);

/* Fills the next cell with a number, a duration or a text of the object, or with "-". */
void show_number_cell(struct table *table, const struct json_object *object, const char *name);
void show_duration_cell(struct table *table, const struct json_object *object, const char *name);
void show_text_cell(struct table *table, const struct json_object *object, const char *name);

/* The sum of all numbers of an object, of one depth. */
int64_t show_sum(const struct json_object *object);

#endif
