/*
 * Bodies and the ceiling over all of them.
 */
#include "job/body.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
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
        assert_int_equal(body_new(&pool, NULL, 60, &body), 0);
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
        assert_int_equal(body_new(&pool, NULL, 60, &first), 0);
        assert_int_equal(body_new(&pool, NULL, 41, &second), -ENOBUFS);
        assert_int_equal(pool.bytes, 60);
        assert_int_equal(body_new(&pool, NULL, 40, &second), 0);
        body_unref(first);
        body_unref(second);
        assert_int_equal(pool.bytes, 0);
}

static void other_ceilings_are_for_what_comes_later(void **state)
{
        struct body_pool pool = POOL(1000, 100);
        struct body *known, *chunked, *next;
        char bytes[100] = {0};

        (void)state;
        assert_int_equal(body_new(&pool, NULL, 100, &known), 0);
        assert_int_equal(body_new(&pool, NULL, BODY_LENGTH_UNKNOWN, &chunked), 0);
        assert_int_equal(body_append(chunked, bytes, 60), 0);
        pool.body_max_bytes = 50;
        pool.max_bytes = 150;
        assert_int_equal(body_append(known, bytes, 100), 0); /* it was counted */
        assert_int_equal(body_append(chunked, bytes, 50), -EMSGSIZE);
        assert_int_equal(body_new(&pool, NULL, 60, &next), -EMSGSIZE);
        assert_int_equal(body_new(&pool, NULL, 40, &next), -ENOBUFS);
        pool.max_bytes = 1000;
        assert_int_equal(body_new(&pool, NULL, 50, &next), 0);
        body_unref(known);
        body_unref(chunked);
        body_unref(next);
        assert_int_equal(pool.bytes, 0);
}

static void a_body_longer_than_one_may_be_is_refused(void **state)
{
        struct body_pool pool = POOL(1000, 100);
        struct body *body;

        (void)state;
        assert_int_equal(body_new(&pool, NULL, 101, &body), -EMSGSIZE);
        assert_int_equal(body_new(&pool, NULL, INT64_MAX, &body), -EMSGSIZE);
        assert_int_equal(pool.bytes, 0);
}

static void a_chunked_body_grows_up_to_the_limit_and_keeps_its_bytes(void **state)
{
        struct body_pool pool = POOL(1 << 20, 200000);
        char piece[1000];
        struct body *body;

        (void)state;
        assert_int_equal(body_new(&pool, NULL, BODY_LENGTH_UNKNOWN, &body), 0);
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
        assert_int_equal(body_new(&pool, NULL, BODY_LENGTH_UNKNOWN, &body), 0);
        assert_int_equal(body_append(body, piece, 30000), 0);
        assert_int_equal(body_append(body, piece, 30000), 0);
        assert_int_equal(body_append(body, piece, 50000), -ENOBUFS);
        assert_int_equal(body->len, 60000);
        body_unref(body);
        assert_int_equal(pool.bytes, 0);
}

static void the_spare_bytes_are_for_an_owner_with_no_more_than_one_body(void **state)
{
        struct body_pool pool = {.max_bytes = 1000, .spare_bytes = 200, .body_max_bytes = 100};
        struct body_share much = {0}, little = {0};
        struct body *held[8], *body, *last;

        (void)state;
        for (int i = 0; i < 8; i++)
                assert_int_equal(body_new(&pool, &much, 100, &held[i]), 0);
        assert_int_equal(body_new(&pool, &much, 1, &body), -ENOBUFS);
        assert_int_equal(body_new(&pool, NULL, 1, &body), -ENOBUFS);
        assert_int_equal(body_new(&pool, &little, 60, &body), 0);
        assert_int_equal(body_new(&pool, &little, 41, &last), -ENOBUFS);
        assert_int_equal(body_new(&pool, &little, 40, &last), 0);
        assert_int_equal(much.bytes, 800);
        assert_int_equal(little.bytes, 100);
        assert_int_equal(pool.bytes, 900);
        body_unref(body);
        body_unref(last);
        for (int i = 0; i < 8; i++)
                body_unref(held[i]);
        assert_int_equal(much.bytes + little.bytes + pool.bytes, 0);
}

static void the_spare_bytes_are_shared_out_where_they_are_many(void **state)
{
        struct body_pool pool = {.max_bytes = 1600, .spare_bytes = 600, .body_max_bytes = 100};
        struct body_share much = {0}, other = {0}, third = {0};
        struct body *held[10], *bodies[4], *body;

        (void)state;
        for (int i = 0; i < 10; i++)
                assert_int_equal(body_new(&pool, &much, 100, &held[i]), 0);
        assert_int_equal(body_new(&pool, &much, 1, &body), -ENOBUFS);
        for (int i = 0; i < 2; i++) /* a third of 600 */
                assert_int_equal(body_new(&pool, &other, 100, &bodies[i]), 0);
        assert_int_equal(body_new(&pool, &other, 1, &body), -ENOBUFS);
        assert_int_equal(pool.owners, 2);
        assert_int_equal(body_new(&pool, &third, 100, &bodies[2]), 0);
        assert_int_equal(body_new(&pool, &third, 50, &bodies[3]), 0); /* a quarter */
        assert_int_equal(body_new(&pool, &third, 1, &body), -ENOBUFS);
        for (int i = 0; i < 10; i++)
                body_unref(held[i]);
        for (int i = 0; i < 4; i++)
                body_unref(bodies[i]);
        assert_int_equal(pool.bytes, 0);
        assert_int_equal(pool.owners, 0);
}

static void the_spare_bytes_have_an_end_too(void **state)
{
        struct body_pool pool = {.max_bytes = 150, .spare_bytes = 50, .body_max_bytes = 100};
        struct body_share first = {0}, second = {0};
        struct body *body, *other;

        (void)state;
        assert_int_equal(body_new(&pool, &first, 100, &body), 0);
        assert_int_equal(body_new(&pool, &second, 51, &other), -ENOBUFS);
        assert_int_equal(second.bytes, 0);
        assert_int_equal(body_new(&pool, &second, 50, &other), 0);
        body_unref(body);
        body_unref(other);
}

static void a_chunked_body_grows_into_the_spare_bytes_as_long_as_its_owner_has_little(void **state)
{
        struct body_pool pool = {
                .max_bytes = 400000, .spare_bytes = 200000, .body_max_bytes = 150000};
        struct body_share share = {0};
        static char piece[100000];
        struct body *filler, *body, *other;

        (void)state;
        assert_int_equal(body_new(&pool, NULL, 150000, &filler), 0);
        assert_int_equal(body_new(&pool, &share, BODY_LENGTH_UNKNOWN, &body), 0);
        assert_int_equal(body_append(body, piece, sizeof piece), 0);
        assert_true(share.bytes >= 100000 && share.bytes == (int64_t)body->counted);
        assert_int_equal(body_new(&pool, &share, BODY_LENGTH_UNKNOWN, &other), 0);
        assert_int_equal(body_append(other, piece, sizeof piece), -ENOBUFS);
        assert_int_equal(share.bytes, body->counted);
        body_unref(body);
        assert_int_equal(body_append(other, piece, sizeof piece), 0);
        body_unref(other);
        assert_int_equal(share.bytes, 0);
        body_unref(filler);
}

static void a_body_that_is_read_back_counts_in_no_share_and_beyond_the_ceiling(void **state)
{
        struct body_pool pool = POOL(100, 100);
        struct body_share share = {0};
        struct body *body, *back;

        (void)state;
        assert_int_equal(body_new(&pool, &share, 100, &body), 0);
        assert_int_equal(body_new_beyond(&pool, 70, &back), 0);
        assert_int_equal(pool.bytes, 170);
        assert_int_equal(share.bytes, 100);
        body_unref(back);
        body_unref(body);
        assert_int_equal(pool.bytes, 0);
}

struct flood {
        struct body_pool *pool;
        struct body_share share;
        _Atomic int tries;
        _Atomic bool over;
};

static void *flood(void *arg)
{
        struct flood *flood = arg;
        struct body *body = NULL;

        while (!atomic_load(&flood->over)) {
                (void)atomic_fetch_add(&flood->tries, 1);
                if (body_new(flood->pool, &flood->share, 100, &body) == 0)
                        break; /* then the share is too large, which is seen below */
        }
        return body;
}

static void what_does_not_fit_is_not_in_the_way_of_what_does_for_a_moment_either(void **state)
{
        struct body_pool pool = {.max_bytes = 1000, .spare_bytes = 100, .body_max_bytes = 100};
        struct flood flooded = {.pool = &pool};
        struct body_share little = {0};
        struct body *held[9], *body;
        pthread_t thread;
        void *taken;

        (void)state;
        for (int i = 0; i < 9; i++)
                assert_int_equal(body_new(&pool, &flooded.share, 100, &held[i]), 0);
        assert_int_equal(pthread_create(&thread, NULL, flood, &flooded), 0);
        while (atomic_load(&flooded.tries) == 0)
                (void)sched_yield();
        int refused = 0;
        for (int i = 0; i < 200000; i++) {
                if (body_new(&pool, &little, 100, &body) == 0)
                        body_unref(body);
                else
                        refused++;
        }
        atomic_store(&flooded.over, true);
        assert_int_equal(pthread_join(thread, &taken), 0);
        assert_null(taken);
        assert_int_equal(refused, 0);
        for (int i = 0; i < 9; i++)
                body_unref(held[i]);
        assert_int_equal(pool.bytes, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_known_length_is_counted_before_the_first_byte),
                cmocka_unit_test(a_body_that_does_not_fit_the_pool_is_refused_and_costs_nothing),
                cmocka_unit_test(other_ceilings_are_for_what_comes_later),
                cmocka_unit_test(a_body_longer_than_one_may_be_is_refused),
                cmocka_unit_test(a_chunked_body_grows_up_to_the_limit_and_keeps_its_bytes),
                cmocka_unit_test(a_chunked_body_stops_when_the_pool_is_full),
                cmocka_unit_test(the_spare_bytes_are_for_an_owner_with_no_more_than_one_body),
                cmocka_unit_test(the_spare_bytes_are_shared_out_where_they_are_many),
                cmocka_unit_test(the_spare_bytes_have_an_end_too),
                cmocka_unit_test(
                        a_chunked_body_grows_into_the_spare_bytes_as_long_as_its_owner_has_little),
                cmocka_unit_test(
                        a_body_that_is_read_back_counts_in_no_share_and_beyond_the_ceiling),
                cmocka_unit_test(
                        what_does_not_fit_is_not_in_the_way_of_what_does_for_a_moment_either),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
