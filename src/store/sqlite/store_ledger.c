/*
 * store_ledger: the sums of charges, read once at the start.
 *
 * charge_day may have millions of rows, which SQLite would sort in memory to group them together
 * with those of charge. So each table is read along its own key, and sums are kept in a hash table
 * here: the memory needed depends on the number of sums, not on that of rows.
 */
#include "store/sqlite/store_private.h"

#include "base/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One sum. Its key is number and both texts. */
struct sum {
        UT_hash_handle hh;
        int64_t count;
        int64_t number; /* the outcome, or the day */
        char texts[];   /* the client's name and the upstream's, each with its NUL */
};

struct sums {
        struct sum *table; /* in order of coming, until sorted */
        struct sum *key;   /* room for a sum that is looked for */
        size_t key_bytes;  /* of its texts */
};

static const char *sum_upstream(const struct sum *sum)
{
        return sum->texts + strlen(sum->texts) + 1;
}

static void sums_done(struct sums *sums)
{
        struct sum *sum, *next;

        HASH_ITER (hh, sums->table, sum, next) {
                HASH_DEL(sums->table, sum);
                free(sum);
        }
        free(sums->key);
}

/* Makes room for a key with texts of so many bytes. Returns 0 or -ENOMEM. */
static int need_key(struct sums *sums, size_t bytes)
{
        if (sums->key && bytes <= sums->key_bytes)
                return 0;
        struct sum *key = realloc(sums->key, sizeof *key + 2 * bytes);
        if (!key)
                return -ENOMEM;
        sums->key = key;
        sums->key_bytes = 2 * bytes;
        return 0;
}

/* The bytes that make the key, from number on. */
static size_t key_span(size_t text_bytes)
{
        return offsetof(struct sum, texts) - offsetof(struct sum, number) + text_bytes;
}

static int sums_add(struct sums *sums, int64_t number, const char *client, const char *upstream,
                    int64_t count)
{
        size_t client_bytes = strlen(client) + 1, bytes = client_bytes + strlen(upstream) + 1;
        struct sum *sum = NULL;

        int r = need_key(sums, bytes);
        if (r < 0)
                return r;
        sums->key->number = number;
        memcpy(sums->key->texts, client, client_bytes);
        memcpy(sums->key->texts + client_bytes, upstream, bytes - client_bytes);
        HASH_FIND(hh, sums->table, &sums->key->number, key_span(bytes), sum);
        if (!sum) {
                sum = malloc(sizeof *sum + bytes);
                if (!sum)
                        return -ENOMEM;
                sum->count = 0;
                sum->number = number;
                memcpy(sum->texts, sums->key->texts, bytes);
                HASH_ADD(hh, sums->table, number, key_span(bytes), sum);
                if (!sum->hh.tbl) { /* no memory (HASH_NONFATAL_OOM) */
                        free(sum);
                        return -ENOMEM;
                }
        }
        sum->count += count;
        return 0;
}

/* Adds the rows of a query: a number, a client, an upstream, a count. */
static int sums_read(struct sums *sums, struct sqlite_store *store, struct store_range range,
                     const char *sql)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(&store->jobs, sql, &row);
        if (r == 0)
                store_bind_range(row, 1, range);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                const char *client = (const char *)sqlite3_column_text(row, 1);
                const char *upstream = (const char *)sqlite3_column_text(row, 2);
                r = client && upstream ? sums_add(sums, sqlite3_column_int64(row, 0), client,
                                                  upstream, sqlite3_column_int64(row, 3))
                                       : -ENOMEM; /* neither is NULL in the tables */
        }
        (void)sqlite3_finalize(row);
        return r;
}

int sqlite_ledger(struct store *base, const struct store_filter *filter,
                  void (*row)(void *arg, const struct store_ledger_row *row), void *arg)
{
        struct sqlite_store *store = sqlite_store_of(base);
        const struct store_range range = store_range_of(filter);
        struct sums sums = {0};

        int r = sums_read(&sums, store, range,
                          "SELECT outcome, client, upstream, count FROM charge_day WHERE ?1 <= 0");
        if (r == 0)
                r = sums_read(&sums, store, range,
                              "SELECT outcome, client, upstream, 1 FROM charge"
                              " WHERE purchase BETWEEN ?1 AND ?2");
        for (const struct sum *sum = sums.table; r == 0 && sum; sum = sum->hh.next) {
                row(arg, &(struct store_ledger_row){
                                 .client = sum->texts,
                                 .upstream = sum_upstream(sum),
                                 .charge = (enum store_charge)sum->number,
                                 .count = sum->count,
                         });
        }
        sums_done(&sums);
        return r;
}

/* The latest day first, and within a day as the key of charge_day is read backwards. */
static int compare_days(int64_t day, const char *client, int64_t other_day,
                        const char *other_client)
{
        if (day != other_day)
                return day > other_day ? -1 : 1;
        return strcmp(other_client, client);
}

static int compare_sums(const struct sum *one, const struct sum *other)
{
        return compare_days(one->number, one->texts, other->number, other->texts);
}

struct usage {
        void (*row)(void *arg, const struct store_usage_row *row);
        void *arg;
        const struct sum *next; /* of charge, in order */
};

static void tell_usage(const struct usage *usage, int64_t day, const char *client, int64_t count)
{
        usage->row(usage->arg, &(struct store_usage_row){client, day, count});
}

/* Tells the sums of charge up to this day and client, but returns the count of one that is of both.
 */
static int64_t tell_sums_before(struct usage *usage, int64_t day, const char *client)
{
        for (; usage->next; usage->next = usage->next->hh.next) {
                int order = compare_days(usage->next->number, usage->next->texts, day, client);
                if (order > 0)
                        break;
                if (order == 0) {
                        int64_t count = usage->next->count;
                        usage->next = usage->next->hh.next;
                        return count;
                }
                tell_usage(usage, usage->next->number, usage->next->texts, usage->next->count);
        }
        return 0;
}

/* Merges the sums of charge with those of charge_day, which SQLite makes along the key. */
static int merge_usage(struct sqlite_store *store, struct store_range range, struct usage *usage)
{
        sqlite3_stmt *row = NULL;

        int r = store_prepare(&store->jobs,
                              "SELECT day, client, sum(count) FROM charge_day WHERE outcome <> 3"
                              " AND ?1 <= 0 GROUP BY day, client ORDER BY day DESC, client DESC",
                              &row);
        if (r == 0)
                store_bind_range(row, 1, range);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                int64_t day = sqlite3_column_int64(row, 0);
                const char *client = (const char *)sqlite3_column_text(row, 1);
                if (!client) {
                        r = -ENOMEM;
                        break;
                }
                int64_t more = tell_sums_before(usage, day, client);
                tell_usage(usage, day, client, sqlite3_column_int64(row, 2) + more);
        }
        (void)sqlite3_finalize(row);
        for (; r == 0 && usage->next; usage->next = usage->next->hh.next)
                tell_usage(usage, usage->next->number, usage->next->texts, usage->next->count);
        return r;
}

int sqlite_usage(struct store *base, const struct store_filter *filter,
                 void (*row)(void *arg, const struct store_usage_row *row), void *arg)
{
        struct sqlite_store *store = sqlite_store_of(base);
        const struct store_range range = store_range_of(filter);
        struct sums sums = {0};

        int r = sums_read(&sums, store, range,
                          "SELECT day, client, '', 1 FROM charge"
                          " WHERE outcome <> 3 AND purchase BETWEEN ?1 AND ?2");
        if (r == 0) {
                HASH_SORT(sums.table, compare_sums);
                r = merge_usage(store, range, &(struct usage){row, arg, sums.table});
        }
        sums_done(&sums);
        return r;
}
