/*
 * How much free memory the allocator keeps.
 */
#include "daemon/process.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define LARGE_BYTES (24 << 20) /* glibc's thresholds follow blocks of up to 32 MB */
#define BLOCKS      64
#define BLOCK_BYTES (512 << 10) /* too small for a mapping of its own */
#define KEPT_BYTES  (4 << 20)   /* the limit is 1 MB for each arena */

/* Sanitizers and valgrind replace the allocator. */
static void skip_without_glibc(void)
{
        if (mallinfo2().uordblks == 0)
                skip();
}

static void free_a_large_block(void)
{
        void *volatile block = malloc(LARGE_BYTES); /* else the compiler would leave it out */

        assert_non_null(block);
        free(block);
}

static int set_up(void **state)
{
        (void)state;
        process_limit_slack();
        free_a_large_block(); /* by which glibc would raise its thresholds */
        return 0;
}

static void a_large_block_has_a_mapping_of_its_own_after_one_was_freed(void **state)
{
        (void)state;
        skip_without_glibc();
        size_t before = mallinfo2().hblkhd;
        void *volatile block = malloc(LARGE_BYTES / 2);
        assert_non_null(block);
        assert_true(mallinfo2().hblkhd >= before + LARGE_BYTES / 2);
        free(block);
        assert_int_equal(mallinfo2().hblkhd, before);
}

/* Fills the end of an arena and frees it. Returns how much all arenas have in between. */
static void *fill_and_free(void *arg)
{
        void *blocks[BLOCKS];

        (void)arg;
        for (int i = 0; i < BLOCKS; i++)
                blocks[i] = malloc(BLOCK_BYTES);
        size_t bytes = mallinfo2().arena;
        for (int i = 0; i < BLOCKS; i++)
                free(blocks[i]);
        return (void *)(uintptr_t)bytes;
}

static void assert_given_back(size_t before, const void *filled)
{
        assert_true((size_t)(uintptr_t)filled >= before + (size_t)BLOCKS * BLOCK_BYTES / 2);
        assert_true(mallinfo2().arena <= before + KEPT_BYTES);
}

static void what_is_freed_at_the_end_of_the_heap_is_given_back(void **state)
{
        (void)state;
        skip_without_glibc();
        size_t before = mallinfo2().arena;
        assert_given_back(before, fill_and_free(NULL));
}

static void what_a_thread_frees_at_the_end_of_its_arena_is_given_back(void **state)
{
        pthread_t thread;
        void *filled;

        (void)state;
        skip_without_glibc();
        size_t before = mallinfo2().arena;
        assert_int_equal(pthread_create(&thread, NULL, fill_and_free, NULL), 0);
        assert_int_equal(pthread_join(thread, &filled), 0);
        assert_given_back(before, filled);
}

/* Else each request would take memory from the kernel, and give it back. */
static void what_small_blocks_need_is_kept(void **state)
{
        size_t in_use = 0;

        (void)state;
        skip_without_glibc();
        for (int i = 0; i < 5; i++) {
                void *volatile block = malloc(BLOCK_BYTES / 2);
                assert_non_null(block);
                in_use = mallinfo2().arena;
                free(block);
        }
        assert_int_equal(mallinfo2().arena, in_use);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_large_block_has_a_mapping_of_its_own_after_one_was_freed),
                cmocka_unit_test(what_is_freed_at_the_end_of_the_heap_is_given_back),
                cmocka_unit_test(what_a_thread_frees_at_the_end_of_its_arena_is_given_back),
                cmocka_unit_test(what_small_blocks_need_is_kept),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
