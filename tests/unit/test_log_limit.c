/*
 * Tests of base/log_limit.
 */
#include "base/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define START_US  INT64_C(5000000)
#define SECOND_US INT64_C(1000000)

/* Takes until nothing is left; returns how many there were. */
static int drain(struct log_limit *limit, int64_t now_us)
{
        int taken = 0;

        while (log_limit_take(limit, now_us))
                taken++;
        return taken;
}

static void a_burst_is_written_and_then_so_many_in_a_second(void **state)
{
        static struct log_limit limit = LOG_LIMIT(LOG_LEVEL_INFO, "things", 50, 20);

        (void)state;
        assert_int_equal(drain(&limit, START_US), 50);
        assert_int_equal(drain(&limit, START_US + SECOND_US / 20 - 1), 0);
        assert_int_equal(drain(&limit, START_US + SECOND_US), 20);
        assert_int_equal(drain(&limit, START_US + 100 * SECOND_US), 50);
}

static void buckets_of_one_limit_do_not_empty_each_other(void **state)
{
        static struct log_limit limit = LOG_LIMIT(LOG_LEVEL_INFO, "things of each", 3, 1);
        struct log_bucket buckets[2] = {0};

        (void)state;
        for (int i = 0; i < 5; i++)
                assert_int_equal(log_limit_take_from(&limit, &buckets[0], START_US), i < 3);
        assert_true(log_limit_take_from(&limit, &buckets[1], START_US));
        assert_true(log_limit_take(&limit, START_US));
        assert_int_equal(atomic_load(&limit.left_out), 2);
}

/* Standard error is a file while the lines are written. */
static void tell(int64_t now_us, char ret_text[static 512])
{
        FILE *file = tmpfile();
        int before = dup(STDERR_FILENO);

        assert_non_null(file);
        (void)dup2(fileno(file), STDERR_FILENO);
        log_limits_tell(now_us);
        (void)dup2(before, STDERR_FILENO);
        (void)close(before);
        memset(ret_text, 0, 512);
        assert_true(pread(fileno(file), ret_text, 511, 0) >= 0);
        (void)fclose(file);
}

static void what_is_left_out_is_told_once_a_second_at_most(void **state)
{
        static struct log_limit limit = LOG_LIMIT(LOG_LEVEL_WARNING, "requests", 1, 1);
        char text[512];

        (void)state;
        tell(INT64_MAX, text); /* of the test before */
        for (int i = 0; i < 4; i++)
                (void)log_limit_take(&limit, START_US);
        tell(START_US, text);
        assert_non_null(strstr(text, "Z warning requests not logged: 3\n"));
        (void)log_limit_take(&limit, START_US);
        tell(START_US + SECOND_US - 1, text);
        assert_string_equal(text, "");
        tell(START_US + SECOND_US, text);
        assert_non_null(strstr(text, "Z warning requests not logged: 1\n"));
        tell(START_US + 9 * SECOND_US, text);
        assert_string_equal(text, "");
}

#define THREADS 4
#define TAKES   20000

static struct log_limit shared = LOG_LIMIT(LOG_LEVEL_INFO, "shared things", 1000, 20);
static _Atomic int shared_taken;

static void *take_many(void *arg)
{
        for (int i = 0; i < TAKES; i++) {
                if (log_limit_take(&shared, START_US))
                        (void)atomic_fetch_add(&shared_taken, 1);
        }
        return arg;
}

static void threads_together_take_no_more_than_one(void **state)
{
        pthread_t threads[THREADS];

        (void)state;
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, take_many, NULL), 0);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(atomic_load(&shared_taken), 1000);
        assert_int_equal(atomic_load(&shared.left_out), THREADS * TAKES - 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_burst_is_written_and_then_so_many_in_a_second),
                cmocka_unit_test(buckets_of_one_limit_do_not_empty_each_other),
                cmocka_unit_test(what_is_left_out_is_told_once_a_second_at_most),
                cmocka_unit_test(threads_together_take_no_more_than_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
