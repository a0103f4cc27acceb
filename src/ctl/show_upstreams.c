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

#define TERMS_BYTES_MAX  (4 << 20) /* of the 32 KiB that the daemon tells, with names repeated */
#define MEMBER_BYTES_MAX 200

static void add_in_flight(struct table *table, const struct json_object *upstream, const char *name)
{
        show_share(table, field_amount(upstream, name), upstream, "max_in_flight");
}

/* How many requests of a kind there were. */
static void add_requests(struct table *table, const struct json_object *upstream, const char *kind)
{
        table_add(table, "%lld",
                  (long long)show_sum(field_object(field_object(upstream, "requests"), kind)));
}

static const struct table_column upstreams_columns[] = {
        {"UPSTREAM", "name", show_text_cell, .rank = 0},
        {"STATE", "state", show_text_cell, .rank = 0},
        {"IN FLIGHT", "in_flight", add_in_flight, .right = true, .rank = 1},
        {"BALANCE", "balance", show_number_cell, .right = true, .rank = 2},
        {"SOLVES", "solve", add_requests, .right = true, .rank = 3},
        {"POLLS", "status", add_requests, .right = true, .rank = 4},
        {"PRIORITY", "priority", show_number_cell, .right = true, .rank = 5},
        {"API", "api", show_number_cell, .right = true, .rank = 7},
        {"URL", "url", show_text_cell, .text = true, .rank = 6},
        {.title = NULL},
};

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
        show_list(answer, "upstreams", upstreams_columns, width, out);
}

void show_upstreams(const struct json_object *answer, size_t width, struct strbuf *out)
{
        show_accounts(answer, width, out);
        show_balance_failures(answer, out);
}

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

static void add_balance(struct table *table, const struct json_object *entry, const char *name)
{
        struct strbuf text;

        (void)name;
        strbuf_init(&text, TERMS_BYTES_MAX);
        append_balance(entry, &text);
        table_add(table, "%s", text.len > 0 ? text.data : "not known yet");
        table->failed = table->failed || text.failed;
        strbuf_done(&text);
}

static const struct table_column balance_columns[] = {
        {"UPSTREAM", "upstream", show_text_cell, .rank = 0},
        {"AGE", "age", show_duration_cell, .right = true, .rank = 1},
        {"BALANCE", "balance", add_balance, .text = true},
        {.title = NULL},
};

void show_balance(const struct json_object *answer, size_t width, struct strbuf *out)
{
        if (field_list_count(answer, "balances") > 0)
                show_list(answer, "balances", balance_columns, width, out);
        else
                (void)strbuf_puts(out, "no upstreams\n");
}
