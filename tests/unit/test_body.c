/*
 * Bodies and the ceiling over all of them.
 */
#include "job/body.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define POOL(max, body_max)                                                                        \
        {                                                                                          \
                .max_bytes = (max), .body_max_bytes = (body_max)                                   \
        }

static void a_known_length_is_counted_before_the_first_byte(void **state)
{
        struct body_pool pool = POOL(100, 100);
        struct body *body;

        (void)state;
        assert_int_equal(body_new(&pool, 60, &body), 0);
        assert_int_equal(pool.bytes, 60);
        assert_int_equal(body_append(body, "abc", 3), 0);
        assert_int_equal(pool.bytes, 60);
        body_unref(body);
        assert_int_equal(pool.bytes, 0);
}

static void a_body_that_does_not_fit_the_pool_is_refused_and_costs_nothing(void **state)
{
        struct body_pool pool = POOL(100, 100);
        struct body *first, *second;

        (void)state;
        assert_int_equal(body_new(&pool, 60, &first), 0);
        assert_int_equal(body_new(&pool, 41, &second), -ENOBUFS);
        assert_int_equal(pool.bytes, 60);
        assert_int_equal(body_new(&pool, 40, &second), 0);
        body_unref(first);
        body_unref(second);
        assert_int_equal(pool.bytes, 0);
}

static void a_body_longer_than_one_may_be_is_refused(void **state)
{
        struct body_pool pool = POOL(1000, 100);
        struct body *body;

        (void)state;
        assert_int_equal(body_new(&pool, 101, &body), -EMSGSIZE);
        assert_int_equal(body_new(&pool, INT64_MAX, &body), -EMSGSIZE);
        assert_int_equal(pool.bytes, 0);
}

static void a_chunked_body_grows_up_to_the_limit_and_keeps_its_bytes(void **state)
{
        struct body_pool pool = POOL(1 << 20, 200000);
        char piece[1000];
        struct body *body;

        (void)state;
        assert_int_equal(body_new(&pool, BODY_LENGTH_UNKNOWN, &body), 0);
        for (int i = 0; i < 200; i++) {
                memset(piece, 'a' + i % 26, sizeof piece);
                assert_int_equal(body_append(body, piece, sizeof piece), 0);
        }
        assert_int_equal(body_append(body, "x", 1), -EMSGSIZE);
        assert_int_equal(body->len, 200000);
        for (int i = 0; i < 200; i++)
                assert_int_equal(body->data[i * 1000], 'a' + i % 26);
        assert_true(pool.bytes >= 200000);
        body_unref(body);
        assert_int_equal(pool.bytes, 0);
}

static void a_chunked_body_stops_when_the_pool_is_full(void **state)
{
        struct body_pool pool = POOL(100000, 1 << 20);
        static char piece[50000];
        struct body *body;

        (void)state;
        assert_int_equal(body_new(&pool, BODY_LENGTH_UNKNOWN, &body), 0);
        assert_int_equal(body_append(body, piece, 30000), 0);
        assert_int_equal(body_append(body, piece, 30000), 0);
        assert_int_equal(body_append(body, piece, 50000), -ENOBUFS);
        assert_int_equal(body->len, 60000);
        body_unref(body);
        assert_int_equal(pool.bytes, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_known_length_is_counted_before_the_first_byte),
                cmocka_unit_test(a_body_that_does_not_fit_the_pool_is_refused_and_costs_nothing),
                cmocka_unit_test(a_body_longer_than_one_may_be_is_refused),
                cmocka_unit_test(a_chunked_body_grows_up_to_the_limit_and_keeps_its_bytes),
                cmocka_unit_test(a_chunked_body_stops_when_the_pool_is_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
