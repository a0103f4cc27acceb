/*
 * Tests of access/throttle.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/throttle.h"

#define START INT64_C(1000000)

#define FAILURES_MAX 10 /* after which the pause grows no more */

static int set_up(void **state)
{
        return throttle_new((struct throttle **)state);
}

static int tear_down(void **state)
{
        throttle_free(*state);
        return 0;
}

/* Fails and waits for the answer. */
static int64_t fail_and_wait(struct throttle *throttle, const char *address, int64_t now_ms)
{
        int64_t pause = throttle_fail(throttle, address, now_ms);

        if (pause > 0)
                throttle_end(throttle, address);
        return pause;
}

static void the_pause_begins_after_three_failures_and_doubles_to_its_ceiling(void **state)
{
        static const int64_t pauses[] = {0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};

        for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++)
                assert_int_equal(fail_and_wait(*state, "192.0.2.1", START), pauses[i]);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(fail_and_wait(*state, "192.0.2.1", START), THROTTLE_PAUSE_MAX_MS);
}

static void who_fails_rarely_is_never_held(void **state)
{
        for (int i = 0; i < 100; i++) {
                int64_t now = START + i * (int64_t)THROTTLE_FORGET_MS;
                assert_int_equal(throttle_fail(*state, "192.0.2.1", now), 0);
        }
}

static void failures_are_forgotten_one_by_one(void **state)
{
        const int64_t forget = THROTTLE_FORGET_MS;

        for (int i = 0; i < 5; i++)
                (void)fail_and_wait(*state, "192.0.2.1", START);
        /* Four are left, and one more is made. */
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START + forget + forget / 2), 200);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START + forget + forget / 2), 400);
        /* The second time began where the first ended, and not with what failed meanwhile. */
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START + 2 * forget - 1), 800);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START + 2 * forget), 800);
}

static void once_all_is_forgotten_the_time_begins_with_the_next_failure(void **state)
{
        const int64_t forget = THROTTLE_FORGET_MS, again = START + forget + forget / 2;

        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START), 0);
        for (int i = 0; i < THROTTLE_FREE; i++)
                assert_int_equal(fail_and_wait(*state, "192.0.2.1", again), 0);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", again), 100);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", again + forget - 1), 200);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", again + forget), 200);
}

static void a_long_attack_is_forgotten_as_soon_as_a_short_one(void **state)
{
        int64_t now = START;

        for (int i = 0; i < 10000; i++)
                (void)fail_and_wait(*state, "192.0.2.1", now);
        now += (FAILURES_MAX - THROTTLE_FREE) * (int64_t)THROTTLE_FORGET_MS;
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", now), 100);
        now += FAILURES_MAX * (int64_t)THROTTLE_FORGET_MS;
        for (int i = 0; i < THROTTLE_FREE; i++)
                assert_int_equal(throttle_fail(*state, "192.0.2.1", now), 0);
}

static void a_clock_read_a_moment_ago_forgets_nothing(void **state)
{
        for (int i = 0; i < 4; i++)
                (void)fail_and_wait(*state, "192.0.2.1", START);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START - 1), 200);
        assert_int_equal(fail_and_wait(*state, "192.0.2.1", START - 2 * THROTTLE_FORGET_MS), 400);
}

static void only_so_many_answers_to_an_address_are_held(void **state)
{
        for (int i = 0; i < THROTTLE_FREE; i++)
                assert_int_equal(throttle_fail(*state, "192.0.2.1", START), 0);
        for (int i = 0; i < THROTTLE_WAITING; i++)
                assert_true(throttle_fail(*state, "192.0.2.1", START) > 0);
        assert_int_equal(throttle_fail(*state, "192.0.2.1", START), -EBUSY);
        assert_int_equal(throttle_fail(*state, "192.0.2.1", START), -EBUSY);
        assert_int_equal(throttle_fail(*state, "192.0.2.2", START), 0);
        throttle_end(*state, "192.0.2.1");
        assert_true(throttle_fail(*state, "192.0.2.1", START) > 0);
        assert_int_equal(throttle_fail(*state, "192.0.2.1", START), -EBUSY);
}

static void an_answer_that_nobody_holds_ends_nothing(void **state)
{
        throttle_end(*state, "192.0.2.1");
        for (int i = 0; i < THROTTLE_FREE; i++)
                assert_int_equal(throttle_fail(*state, "192.0.2.1", START), 0);
        throttle_end(*state, "192.0.2.1");
        for (int i = 0; i < THROTTLE_WAITING; i++)
                assert_true(throttle_fail(*state, "192.0.2.1", START) > 0);
        assert_int_equal(throttle_fail(*state, "192.0.2.1", START), -EBUSY);
}

static void addresses_count_as_the_networks_that_one_host_can_choose_from(void **state)
{
        static const struct {
                const char *a, *b;
                bool together;
        } cases[] = {
                {"192.0.2.1", "192.0.2.1", true},
                {"192.0.2.1", "192.0.2.2", false},
                {"192.0.2.1", "::ffff:192.0.2.1", true},
                {"192.0.2.1", "::FFFF:c000:0201", true},
                {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
                {"::192.0.2.1", "192.0.2.1", false},
                {"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
                {"2001:db8:0:1::1", "2001:DB8:0000:1:0:0:0:1", true},
                {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
                {"2001:db8::1", "2001:db9::1", false},
                {"fe80::1%eth0", "fe80::1", true},
                {"::1", "127.0.0.1", false},
                {"c000:0201::", "192.0.2.1", false},
                {"0.0.0.0", "::2", false},
                {"", "no address", true},
                {"a text that is far longer than any address in numbers can be", "no address",
                 true},
                {"no address", "0.0.0.0", false},
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct throttle *throttle;
                assert_int_equal(throttle_new(&throttle), 0);
                for (int j = 0; j < THROTTLE_FREE; j++)
                        assert_int_equal(throttle_fail(throttle, cases[i].a, START), 0);
                if ((throttle_fail(throttle, cases[i].b, START) > 0) != cases[i].together)
                        fail_msg("%s and %s", cases[i].a, cases[i].b);
                throttle_free(throttle);
        }
        throttle_free(NULL);
        (void)state;
}

static const char *numbered(int i)
{
        static char address[32];

        (void)snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        return address;
}

static void the_address_that_failed_longest_ago_makes_room(void **state)
{
        for (int i = 0; i < THROTTLE_ADDRESSES; i++) {
                for (int j = 0; j < THROTTLE_FREE; j++)
                        assert_int_equal(throttle_fail(*state, numbered(i), START), 0);
        }
        /* The first fails again, so the second has failed longest ago. */
        assert_int_equal(fail_and_wait(*state, numbered(0), START), 100);
        assert_int_equal(throttle_fail(*state, numbered(THROTTLE_ADDRESSES), START), 0);
        assert_int_equal(fail_and_wait(*state, numbered(0), START), 200);
        assert_int_equal(fail_and_wait(*state, numbered(2), START), 100);
        assert_int_equal(throttle_fail(*state, numbered(1), START), 0);
}

static void an_address_that_made_room_leaves_no_answer_held(void **state)
{
        for (int i = 0; i < THROTTLE_FREE + THROTTLE_WAITING; i++)
                assert_true(throttle_fail(*state, numbered(0), START) >= 0);
        assert_int_equal(throttle_fail(*state, numbered(0), START), -EBUSY);
        for (int i = 1; i <= THROTTLE_ADDRESSES; i++)
                assert_int_equal(throttle_fail(*state, numbered(i), START), 0);
        for (int i = 0; i < THROTTLE_WAITING; i++)
                throttle_end(*state, numbered(0));
        for (int i = 0; i < THROTTLE_FREE; i++)
                assert_int_equal(throttle_fail(*state, numbered(0), START), 0);
        assert_int_equal(throttle_fail(*state, numbered(0), START), 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_pause_begins_after_three_failures_and_doubles_to_its_ceiling),
                TEST(who_fails_rarely_is_never_held),
                TEST(failures_are_forgotten_one_by_one),
                TEST(once_all_is_forgotten_the_time_begins_with_the_next_failure),
                TEST(a_long_attack_is_forgotten_as_soon_as_a_short_one),
                TEST(a_clock_read_a_moment_ago_forgets_nothing),
                TEST(only_so_many_answers_to_an_address_are_held),
                TEST(an_answer_that_nobody_holds_ends_nothing),
                cmocka_unit_test(addresses_count_as_the_networks_that_one_host_can_choose_from),
                TEST(the_address_that_failed_longest_ago_makes_room),
                TEST(an_address_that_made_room_leaves_no_answer_held),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
