/*
 * The sums of charges at the start.
 */
#include "store/sqlite/sqlite_store.h"
#include "store_fixture.h"

#include "base/strbuf.h"

#include <sqlite3.h>
#include <string.h>

#define ROWS        300000
#define CACHE_BYTES (16 << 20) /* of SQLite, which is filled by any reading of the file */
#define SUMS_BYTES  (4 << 20)

static const char fill[] =
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299999)"
        "INSERT INTO charge_day(day, client, upstream, outcome, count)"
        " SELECT i / 600, 'client-' || (i / 3 % 100), 'upstream-' || (i / 300 % 2), 2 + i % 3, 1"
        " FROM n ORDER BY 1, 2, 3, 4;";

struct seen {
        int rows;
        int64_t count;
        int64_t last_day;
};

static void see_ledger(void *arg, const struct store_ledger_row *row)
{
        struct seen *seen = arg;

        assert_memory_equal(row->client, "client-", 7);
        assert_memory_equal(row->upstream, "upstream-", 9);
        assert_int_equal(row->count, ROWS / 600);
        seen->rows++;
        seen->count += row->count;
}

static void see_usage(void *arg, const struct store_usage_row *row)
{
        struct seen *seen = arg;

        assert_true(seen->rows == 0 || row->day <= seen->last_day);
        assert_int_equal(row->count, 4); /* two upstreams, and what was not charged is left out */
        seen->last_day = row->day;
        seen->rows++;
        seen->count += row->count;
}

static void open_filled(struct fixture *f)
{
        struct strbuf problem;

        close_store(f);
        run_on_file(f->file, fill);
        strbuf_init(&problem, 100);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
}

static void sums_need_memory_for_themselves_and_not_for_the_rows(void **state)
{
        struct fixture *f = *state;
        struct seen seen = {0};

        open_filled(f);
        (void)sqlite3_memory_highwater(1);
        assert_int_equal(store_ledger(f->store, NULL, see_ledger, &seen), 0);
        assert_int_equal(seen.rows, 100 * 2 * 3);
        assert_int_equal(seen.count, ROWS);
        seen = (struct seen){0};
        assert_int_equal(store_usage(f->store, NULL, see_usage, &seen), 0);
        assert_int_equal(seen.rows, 100 * ROWS / 600);
        assert_int_equal(seen.count, ROWS / 3 * 2);
        assert_true(sqlite3_memory_highwater(0) < CACHE_BYTES + SUMS_BYTES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_STORE(sums_need_memory_for_themselves_and_not_for_the_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
