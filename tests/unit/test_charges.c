/*
 * test_charges: the sums for each client and upstream.
 */
#include "engine/charges.h"

#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_row(void *arg, const struct charges_row *row)
{
        assert_int_equal(strbuf_printf(arg, "%s/%s:%d+%d ", row->client, row->upstream,
                                       (int)row->charged, (int)row->unknown),
                         0);
}

static void rows_stand_by_client_and_upstream_whenever_they_came(void **state)
{
        struct charges *charges;
        struct strbuf text;

        (void)state;
        assert_int_equal(charges_new(&charges), 0);
        charges_add(charges, "mia", "pro", 1, 0);
        charges_add(charges, "zoe", "free", 2, 0);
        charges_add(charges, "ann", "pro", 3, 0);
        charges_add(charges, "mia", "free", 4, 1);
        charges_add(charges, "zoe", "free", 5, 2);
        strbuf_init(&text, 256);
        charges_each(charges, write_row, &text);
        assert_string_equal(text.data, "ann/pro:3+0 mia/free:4+1 mia/pro:1+0 zoe/free:7+2 ");
        strbuf_done(&text);
        charges_free(charges);
}

/* As when a charge comes while the page of metrics is written. */
static void add_before_and_behind(void *arg, const struct charges_row *row)
{
        if (row->client[0] == 'm') {
                charges_add(arg, "ann", "pro", 1, 0);
                charges_add(arg, "zoe", "pro", 1, 0);
        }
        assert_string_not_equal(row->client, "ann");
}

static void a_pair_that_comes_while_rows_are_told_is_in_its_place(void **state)
{
        struct charges *charges;
        struct strbuf text;

        (void)state;
        assert_int_equal(charges_new(&charges), 0);
        charges_add(charges, "mia", "pro", 1, 0);
        charges_each(charges, add_before_and_behind, charges);
        strbuf_init(&text, 256);
        charges_each(charges, write_row, &text);
        assert_string_equal(text.data, "ann/pro:1+0 mia/pro:1+0 zoe/pro:1+0 ");
        strbuf_done(&text);
        charges_free(charges);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_stand_by_client_and_upstream_whenever_they_came),
                cmocka_unit_test(a_pair_that_comes_while_rows_are_told_is_in_its_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
