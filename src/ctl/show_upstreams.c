/*
 * show_upstreams: the pages of `upstreams` and `balance`.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/show.h"
#include "ctl/table.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define COUNT(columns)   (sizeof(columns) / sizeof(columns)[0])
#define TERMS_BYTES_MAX  (4 << 20) /* of the 32 KiB that the daemon tells, with names repeated */
#define MEMBER_BYTES_MAX 200

static const struct table_column upstreams_columns[] = {
        {.title = "UPSTREAM"},
        {.title = "STATE"},
        {.title = "IN FLIGHT", .right = true, .rank = 1},
        {.title = "BALANCE", .right = true, .rank = 2},
        {.title = "SOLVES", .right = true, .rank = 3},
        {.title = "POLLS", .right = true, .rank = 4},
        {.title = "PRIORITY", .right = true, .rank = 5},
        {.title = "API", .right = true, .rank = 7},
        {.title = "URL", .text = true, .rank = 6},
};

static void add_upstream(struct table *table, const struct json_object *upstream)
{
        const struct json_object *requests = field_object(upstream, "requests");

        show_text_cell(table, upstream, "name");
        show_text_cell(table, upstream, "state");
        table_add(table, "%s of %s", format_number(field_amount(upstream, "in_flight")).text,
                  format_number(field_amount(upstream, "max_in_flight")).text);
        show_number_cell(table, upstream, "balance");
        table_add(table, "%lld", (long long)show_sum(field_object(requests, "solve")));
        table_add(table, "%lld", (long long)show_sum(field_object(requests, "status")));
        show_number_cell(table, upstream, "priority");
        show_number_cell(table, upstream, "api");
        show_text_cell(table, upstream, "url");
}

void show_balance_failures(const struct json_object *answer, struct strbuf *out)
{
        for (size_t i = 0; i < field_list_count(answer, "upstreams"); i++) {
                const struct json_object *upstream = field_list_item(answer, "upstreams", i);
                const struct json_object *failure = field_object(upstream, "balance_failure");
                if (failure)
                        show_line(out, "!", "upstream %s %s: %s (asked %s ago)",
                                  field_text_or(upstream, "name", "?"),
                                  field_is(failure, "refused", true) ? "refuses its account"
                                                                     : "does not tell its balance",
                                  field_text_or(failure, "message", "?"),
                                  format_duration(field_amount(failure, "age")).text);
        }
}

void show_accounts(const struct json_object *answer, size_t width, struct strbuf *out)
{
        size_t count = field_list_count(answer, "upstreams");
        struct table table;

        if (count == 0) {
                (void)strbuf_puts(out, "no upstreams\n");
                return;
        }
        table_init(&table, upstreams_columns, COUNT(upstreams_columns));
        for (size_t i = 0; i < count; i++)
                add_upstream(&table, field_list_item(answer, "upstreams", i));
        (void)table_append(&table, width, out);
        table_done(&table);
}

void show_upstreams(const struct json_object *answer, size_t width, struct strbuf *out)
{
        show_accounts(answer, width, out);
        show_balance_failures(answer, out);
}

static const struct table_column balance_columns[] = {
        {.title = "UPSTREAM"},
        {.title = "AGE", .right = true, .rank = 1},
        {.title = "BALANCE", .text = true},
};

/* "planlimit 1000, used 20, Subscription.remaining 3": the upstream's own words, two levels deep.
 */
static void append_terms(const struct json_object *object, const char *prefix, struct strbuf *out)
{
        json_object_object_foreach(object, name, value)
        {
                char member[MEMBER_BYTES_MAX];
                (void)snprintf(member, sizeof member, "%s%s", prefix, name);
                if (json_object_is_type(value, json_type_object) && prefix[0] == '\0') {
                        (void)strncat(member, ".", sizeof member - strlen(member) - 1);
                        append_terms(value, member, out);
                } else if (!json_object_is_type(value, json_type_null)) {
                        (void)strbuf_printf(out, "%s%s %s", out->len > 0 ? ", " : "", member,
                                            json_object_get_string(value));
                }
        }
}

/* What was said, however old, what is in its place, and why there is nothing younger. */
static void append_balance(const struct json_object *entry, struct strbuf *out)
{
        const struct json_object *balance = field_object(entry, "balance");
        const struct json_object *failure = field_object(entry, "failure");
        const char *message = field_text_or(entry, "message", "");
        const char *reason = field_text_or(failure, "message", "?");

        if (balance)
                append_terms(balance, "", out);
        if (message[0] != '\0' && !(failure && strcmp(message, reason) == 0))
                (void)strbuf_printf(out, "%s%s", out->len > 0 ? "; " : "", message);
        if (failure)
                (void)strbuf_printf(out, "%s%s (asked %s ago)", out->len > 0 ? "; " : "", reason,
                                    format_duration(field_amount(failure, "age")).text);
}

static void add_balance(struct table *table, const struct json_object *entry)
{
        struct strbuf text;

        strbuf_init(&text, TERMS_BYTES_MAX);
        append_balance(entry, &text);
        show_text_cell(table, entry, "upstream");
        show_duration_cell(table, entry, "age");
        table_add(table, "%s", text.len > 0 ? text.data : "not known yet");
        table->failed = table->failed || text.failed;
        strbuf_done(&text);
}

void show_balance(const struct json_object *answer, size_t width, struct strbuf *out)
{
        size_t count = field_list_count(answer, "balances");
        struct table table;

        if (count == 0) {
                (void)strbuf_puts(out, "no upstreams\n");
                return;
        }
        table_init(&table, balance_columns, COUNT(balance_columns));
        for (size_t i = 0; i < count; i++)
                add_balance(&table, field_list_item(answer, "balances", i));
        (void)table_append(&table, width, out);
        table_done(&table);
}
