/*
 * When the memory of final jobs goes back to the kernel.
 */
#include "gateway/memory_return.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_MS 1000000
#define LONG_MS  3600000

/* Frees one piece, waits until nothing more is freed, and returns memory for both. */
static void free_a_piece(struct memory_return *memory, bool rows_wait)
{
        *memory = (struct memory_return){0};
        assert_true(memory_return_due(memory, MEMORY_RETURN_BYTES, rows_wait, START_MS));
        assert_false(memory_return_due(memory, MEMORY_RETURN_BYTES, rows_wait,
                                       START_MS + MEMORY_RETURN_QUIET_MS - 1));
        assert_true(memory_return_due(memory, MEMORY_RETURN_BYTES, rows_wait,
                                      START_MS + MEMORY_RETURN_QUIET_MS));
}

/* How often memory is returned within a long time from from_ms on. */
static int count_returns(struct memory_return *memory, bool rows_wait, int64_t from_ms)
{
        int count = 0;

        for (int64_t ms = from_ms; ms < from_ms + LONG_MS; ms += 200)
                count += memory_return_due(memory, memory->freed_bytes, rows_wait, ms);
        return count;
}

static void nothing_is_returned_for_less_than_a_piece(void **state)
{
        struct memory_return memory = {0};
        (void)state;

        assert_false(memory_return_due(&memory, MEMORY_RETURN_BYTES - 1, false, START_MS));
        assert_int_equal(count_returns(&memory, false, START_MS), 0);
}

static void memory_is_returned_for_each_piece(void **state)
{
        struct memory_return memory = {0};
        int count = 0;
        (void)state;

        for (int64_t bytes = 1 << 20; bytes <= 10 * MEMORY_RETURN_BYTES; bytes += 1 << 20)
                count += memory_return_due(&memory, bytes, true, START_MS);
        assert_int_equal(count, 10);
}

static void memory_is_returned_several_times_after_the_rows_are_deleted(void **state)
{
        struct memory_return memory;
        (void)state;

        free_a_piece(&memory, true);
        assert_int_equal(count_returns(&memory, true, START_MS + MEMORY_RETURN_QUIET_MS), 0);
        assert_true(memory_return_due(&memory, memory.freed_bytes, false, START_MS + LONG_MS));
        assert_int_equal(count_returns(&memory, false, START_MS + LONG_MS),
                         MEMORY_RETURN_AFTER_ROWS - 1);
        assert_int_equal(count_returns(&memory, false, START_MS + 2 * LONG_MS), 0);
}

static void without_rows_memory_is_returned_as_often(void **state)
{
        struct memory_return memory;
        (void)state;

        free_a_piece(&memory, false);
        assert_int_equal(count_returns(&memory, false, START_MS + MEMORY_RETURN_QUIET_MS),
                         MEMORY_RETURN_AFTER_ROWS);
}

static void what_is_freed_meanwhile_puts_it_off(void **state)
{
        struct memory_return memory;
        int64_t bytes = MEMORY_RETURN_BYTES;
        (void)state;

        free_a_piece(&memory, false);
        for (int64_t ms = START_MS; ms < START_MS + LONG_MS; ms += 60000)
                assert_false(memory_return_due(&memory, ++bytes, false, ms));
        assert_int_equal(count_returns(&memory, false, START_MS + LONG_MS),
                         MEMORY_RETURN_AFTER_ROWS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_returned_for_less_than_a_piece),
                cmocka_unit_test(memory_is_returned_for_each_piece),
                cmocka_unit_test(memory_is_returned_several_times_after_the_rows_are_deleted),
                cmocka_unit_test(without_rows_memory_is_returned_as_often),
                cmocka_unit_test(what_is_freed_meanwhile_puts_it_off),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
