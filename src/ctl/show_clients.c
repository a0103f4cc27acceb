/*
 * show_clients: the pages of `clients` and `usage`.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/show.h"
#include "ctl/table.h"

/* "12 of 1000", with what is reserved counted as used; without a limit what was used. */
static void add_quota(struct table *table, const struct json_object *client, const char *period)
{
        const struct json_object *quota = field_object(client, period);

        if (quota)
                show_share(table, field_amount(quota, "used") + field_amount(quota, "reserved"),
                           quota, "limit");
        else
                table_add(table, "-");
}

static void add_left(struct table *table, const struct json_object *client, const char *period)
{
        show_number_cell(table, field_object(client, period), "left");
}

/* Jobs a second. */
static void add_rate(struct table *table, const struct json_object *client, const char *name)
{
        double number;

        if (field_number(field_object(client, name), "limit", &number))
                table_add(table, "%s/s", format_number(number).text);
        else
                table_add(table, "-");
}

/* Of how many jobs at once so many are left. */
static void add_burst(struct table *table, const struct json_object *client, const char *name)
{
        const struct json_object *rate = field_object(client, name);
        double number;

        if (field_number(rate, "left", &number))
                show_share(table, number, rate, "burst");
        else
                table_add(table, "-");
}

static void add_in_flight(struct table *table, const struct json_object *client, const char *name)
{
        show_share(table, field_amount(client, name), client, "max_in_flight");
}

static void add_expiry(struct table *table, const struct json_object *client, const char *name)
{
        if (field_is(client, "expired", true))
                table_add(table, "%s (over)", field_text_or(client, name, "?"));
        else
                show_text_cell(table, client, name);
}

static void add_saved(struct table *table, const struct json_object *client, const char *name)
{
        show_number_cell(table, field_object(client, "saved"), name);
}

static const struct table_column clients_columns[] = {
        {"CLIENT", "name", show_text_cell, .rank = 0},
        {"QUEUED", "queued", show_number_cell, .right = true, .rank = 1},
        {"IN FLIGHT", "in_flight", add_in_flight, .right = true, .rank = 2},
        {"UNFINISHED", "unfinished", show_number_cell, .right = true, .rank = 8},
        {"TODAY", "daily", add_quota, .right = true, .rank = 3},
        {"MONTH", "monthly", add_quota, .right = true, .rank = 4},
        {"WEIGHT", "weight", show_number_cell, .right = true, .rank = 6},
        {"RATE", "rate", add_rate, .right = true, .rank = 7},
        {"BURST LEFT", "rate", add_burst, .right = true, .rank = 10},
        {"SITES", "sites", show_number_cell, .right = true, .rank = 9},
        {"EXPIRES", "expires", add_expiry, .rank = 5},
        {.title = NULL},
};

void show_clients(const struct json_object *answer, size_t width, struct strbuf *out)
{
        show_list(answer, "clients", clients_columns, width, out);
}

static const struct table_column usage_columns[] = {
        {"CLIENT", "name", show_text_cell, .rank = 0},
        {"TODAY", "daily", add_quota, .right = true, .rank = 0},
        {"LEFT TODAY", "daily", add_left, .right = true, .rank = 1},
        {"MONTH", "monthly", add_quota, .right = true, .rank = 0},
        {"LEFT IN MONTH", "monthly", add_left, .right = true, .rank = 2},
        {"FROM CACHE", "cache", add_saved, .right = true, .rank = 4},
        {"COLLAPSED", "collapsed", add_saved, .right = true, .rank = 3},
        {.title = NULL},
};

static const struct table_column ledger_columns[] = {
        {"CHARGED TO", "client", show_text_cell, .rank = 0},
        {"BY UPSTREAM", "upstream", show_text_cell, .rank = 0},
        {"CHARGED", "charged", show_number_cell, .right = true, .rank = 0},
        {"UNKNOWN", "unknown", show_number_cell, .right = true, .rank = 0},
        {.title = NULL},
};

static void show_ledger(const struct json_object *answer, size_t width, struct strbuf *out)
{
        double charged = 0, unknown = 0;
        struct table table;

        table_init(&table, ledger_columns);
        for (size_t i = 0; i < field_list_count(answer, "ledger"); i++) {
                const struct json_object *entry = field_list_item(answer, "ledger", i);
                table_add_row(&table, entry);
                charged += field_amount(entry, "charged");
                unknown += field_amount(entry, "unknown");
        }
        table_add(&table, "(all)"); /* no name has parentheses */
        table_add(&table, "(all)");
        table_add(&table, "%s", format_number(charged).text);
        table_add(&table, "%s", format_number(unknown).text);
        table_append(&table, width, out);
        table_done(&table);
}

void show_usage(const struct json_object *answer, size_t width, struct strbuf *out)
{
        show_list(answer, "clients", usage_columns, width, out);
        (void)strbuf_puts(out, "\n");
        if (field_list_count(answer, "ledger") > 0)
                show_ledger(answer, width, out);
        else
                (void)strbuf_puts(out, "nothing was charged\n");
}
