/*
 * test_charges: the sums for each client and upstream.
 */
#include "dispatch/charges.h"

#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

#define CLIENTS   1000
#define UPSTREAMS 64

struct walk {
        int rows;
        int64_t sum;
        char last[64];
};

static void look(void *arg, const struct charges_row *row)
{
        struct walk *walk = arg;
        char name[64];

        (void)snprintf(name, sizeof name, "%s/%s", row->client, row->upstream);
        assert_true(strcmp(walk->last, name) < 0);
        memcpy(walk->last, name, sizeof name);
        walk->rows++;
        walk->sum += row->charged;
}

/* The numbers are not in order: a step that has no divisor in common with the count. */
static void as_many_pairs_as_a_configuration_can_have_are_in_order(void **state)
{
        char client[16], upstream[16];
        struct charges *charges;
        struct walk walk = {0};

        (void)state;
        assert_int_equal(charges_new(&charges), 0);
        for (int i = 0; i < 2 * CLIENTS * UPSTREAMS; i++) {
                int pair = i * 7919 % (CLIENTS * UPSTREAMS);
                (void)snprintf(client, sizeof client, "c%04d", pair / UPSTREAMS);
                (void)snprintf(upstream, sizeof upstream, "u%02d", pair % UPSTREAMS);
                charges_add(charges, client, upstream, pair, 0);
                if (i == CLIENTS) /* what was listed before is merged */
                        charges_each(charges, look, &(struct walk){0});
        }
        charges_each(charges, look, &walk);
        assert_int_equal(walk.rows, CLIENTS * UPSTREAMS);
        assert_int_equal(walk.sum, INT64_C(64000) * 63999);
        charges_free(charges);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_stand_by_client_and_upstream_whenever_they_came),
                cmocka_unit_test(a_pair_that_comes_while_rows_are_told_is_in_its_place),
                cmocka_unit_test(as_many_pairs_as_a_configuration_can_have_are_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
