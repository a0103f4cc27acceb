/*
 * show_clients: the pages of `clients` and `usage`.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/show.h"
#include "ctl/table.h"

#define COUNT(columns) (sizeof(columns) / sizeof(columns)[0])

/* "12 of 1000", with what is reserved counted as used; without a limit what was used. */
static void add_quota(struct table *table, const struct json_object *client, const char *period)
{
        const struct json_object *quota = field_object(client, period);
        double limit, used = field_amount(quota, "used") + field_amount(quota, "reserved");

        if (!quota)
                table_add(table, "-");
        else if (field_number(quota, "limit", &limit))
                table_add(table, "%s of %s", format_number(used).text, format_number(limit).text);
        else
                table_add(table, "%s", format_number(used).text);
}

/* Jobs a second; and of how many at once so many are left. */
static void add_rate(struct table *table, const struct json_object *client)
{
        const struct json_object *rate = field_object(client, "rate");
        double number, burst;

        if (field_number(rate, "limit", &number))
                table_add(table, "%s/s", format_number(number).text);
        else
                table_add(table, "-");
        if (field_number(rate, "left", &number) && field_number(rate, "burst", &burst))
                table_add(table, "%s of %s", format_number(number).text, format_number(burst).text);
        else
                table_add(table, "-");
}

static void add_in_flight(struct table *table, const struct json_object *client)
{
        double number = field_amount(client, "in_flight"), max;

        if (field_number(client, "max_in_flight", &max))
                table_add(table, "%s of %s", format_number(number).text, format_number(max).text);
        else
                table_add(table, "%s", format_number(number).text);
}

static void add_expiry(struct table *table, const struct json_object *client)
{
        if (field_is(client, "expired", true))
                table_add(table, "%s (over)", field_text_or(client, "expires", "?"));
        else
                show_text_cell(table, client, "expires");
}

static const struct table_column clients_columns[] = {
        {.title = "CLIENT"},
        {.title = "QUEUED", .right = true, .rank = 1},
        {.title = "IN FLIGHT", .right = true, .rank = 2},
        {.title = "UNFINISHED", .right = true, .rank = 8},
        {.title = "TODAY", .right = true, .rank = 3},
        {.title = "MONTH", .right = true, .rank = 4},
        {.title = "WEIGHT", .right = true, .rank = 6},
        {.title = "RATE", .right = true, .rank = 7},
        {.title = "BURST LEFT", .right = true, .rank = 10},
        {.title = "SITES", .right = true, .rank = 9},
        {.title = "EXPIRES", .rank = 5},
};

void show_clients(const struct json_object *answer, size_t width, struct strbuf *out)
{
        size_t count = field_list_count(answer, "clients");
        struct table table;

        if (count == 0) {
                (void)strbuf_puts(out, "no clients\n");
                return;
        }
        table_init(&table, clients_columns, COUNT(clients_columns));
        for (size_t i = 0; i < count; i++) {
                const struct json_object *client = field_list_item(answer, "clients", i);
                show_text_cell(&table, client, "name");
                show_number_cell(&table, client, "queued");
                add_in_flight(&table, client);
                show_number_cell(&table, client, "unfinished");
                add_quota(&table, client, "daily");
                add_quota(&table, client, "monthly");
                show_number_cell(&table, client, "weight");
                add_rate(&table, client);
                show_number_cell(&table, client, "sites");
                add_expiry(&table, client);
        }
        (void)table_append(&table, width, out);
        table_done(&table);
}

static const struct table_column usage_columns[] = {
        {.title = "CLIENT"},
        {.title = "TODAY", .right = true},
        {.title = "LEFT TODAY", .right = true, .rank = 1},
        {.title = "MONTH", .right = true},
        {.title = "LEFT IN MONTH", .right = true, .rank = 2},
        {.title = "FROM CACHE", .right = true, .rank = 4},
        {.title = "COLLAPSED", .right = true, .rank = 3},
};

static void show_usage_clients(const struct json_object *answer, size_t width, struct strbuf *out)
{
        struct table table;

        table_init(&table, usage_columns, COUNT(usage_columns));
        for (size_t i = 0; i < field_list_count(answer, "clients"); i++) {
                const struct json_object *client = field_list_item(answer, "clients", i);
                const struct json_object *saved = field_object(client, "saved");
                show_text_cell(&table, client, "name");
                add_quota(&table, client, "daily");
                show_number_cell(&table, field_object(client, "daily"), "left");
                add_quota(&table, client, "monthly");
                show_number_cell(&table, field_object(client, "monthly"), "left");
                show_number_cell(&table, saved, "cache");
                show_number_cell(&table, saved, "collapsed");
        }
        (void)table_append(&table, width, out);
        table_done(&table);
}

static const struct table_column ledger_columns[] = {
        {.title = "CHARGED TO"},
        {.title = "BY UPSTREAM"},
        {.title = "CHARGED", .right = true},
        {.title = "UNKNOWN", .right = true},
};

static void show_ledger(const struct json_object *answer, size_t width, struct strbuf *out)
{
        double charged = 0, unknown = 0;
        struct table table;

        table_init(&table, ledger_columns, COUNT(ledger_columns));
        for (size_t i = 0; i < field_list_count(answer, "ledger"); i++) {
                const struct json_object *entry = field_list_item(answer, "ledger", i);
                show_text_cell(&table, entry, "client");
                show_text_cell(&table, entry, "upstream");
                show_number_cell(&table, entry, "charged");
                show_number_cell(&table, entry, "unknown");
                charged += field_amount(entry, "charged");
                unknown += field_amount(entry, "unknown");
        }
        table_add(&table, "(all)"); /* no name has parentheses */
        table_add(&table, "(all)");
        table_add(&table, "%s", format_number(charged).text);
        table_add(&table, "%s", format_number(unknown).text);
        (void)table_append(&table, width, out);
        table_done(&table);
}

void show_usage(const struct json_object *answer, size_t width, struct strbuf *out)
{
        if (field_list_count(answer, "clients") > 0)
                show_usage_clients(answer, width, out);
        else
                (void)strbuf_puts(out, "no clients\n");
        (void)strbuf_puts(out, "\n");
        if (field_list_count(answer, "ledger") > 0)
                show_ledger(answer, width, out);
        else
                (void)strbuf_puts(out, "nothing was charged\n");
}
