/*
 * The heap: what is first, whatever comes and goes, and how many comparisons that takes.
 */
#include "base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 100000

struct item {
        struct heap_node node;
        int64_t key;
        int number; /* of equal keys the lower one is first */
};

static struct item items[MANY];
static struct heap heap;
static size_t comparisons;
static uint64_t seed;

static int reset(void **state)
{
        (void)state;
        heap = (struct heap){0};
        seed = 1;
        for (int i = 0; i < MANY; i++)
                items[i] = (struct item){.number = i};
        return 0;
}

/* Reproducible, and the same everywhere. */
static unsigned next_random(unsigned below)
{
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned)(seed >> 33) % below;
}

static const struct item *item_of(const struct heap_node *node)
{
        return (const struct item *)((const char *)node - offsetof(struct item, node));
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
        const struct item *one = item_of(a), *other = item_of(b);

        comparisons++;
        return one->key != other->key ? one->key < other->key : one->number < other->number;
}

static const struct item *take_first(void)
{
        struct heap_node *node = heap.first;

        heap_remove(&heap, node, before);
        return item_of(node);
}

static void nodes_leave_in_order_and_equals_as_they_are_numbered(void **state)
{
        (void)state;
        for (int i = 0; i < 1000; i++) {
                items[i].key = next_random(100);
                heap_insert(&heap, &items[i].node, before);
        }
        const struct item *last = take_first();
        for (int i = 1; i < 1000; i++) {
                const struct item *next = take_first();
                assert_true(last->key < next->key ||
                            (last->key == next->key && last->number < next->number));
                last = next;
        }
        assert_null(heap.first);
        assert_int_equal(heap.count, 0);
}

static const struct item *least_of(int count)
{
        const struct item *least = NULL;

        for (int i = 0; i < count; i++) {
                if (items[i].node.in_heap && (!least || before(&items[i].node, &least->node)))
                        least = &items[i];
        }
        return least;
}

static void any_node_can_be_removed_and_the_first_stays_the_least(void **state)
{
        (void)state;
        for (int step = 0; step < 20000; step++) {
                struct item *item = &items[next_random(60)];
                if (item->node.in_heap) {
                        heap_remove(&heap, &item->node, before);
                } else {
                        item->key = next_random(20);
                        heap_insert(&heap, &item->node, before);
                }
                const struct item *least = least_of(60);
                assert_ptr_equal(heap.first, least ? &least->node : NULL);
        }
}

static bool is_odd(const struct heap_node *node, void *arg)
{
        size_t *looks = arg;

        ++*looks;
        return item_of(node)->key % 2 == 1;
}

static void the_first_that_fits_is_found(void **state)
{
        (void)state;
        size_t looks = 0;
        assert_null(heap_find(&heap, before, is_odd, &looks));
        for (int i = 0; i < 100; i++) {
                items[i].key = i < 90 ? 100 + i : 2 * i;
                heap_insert(&heap, &items[i].node, before);
        }
        assert_int_equal(item_of(heap_find(&heap, before, is_odd, &looks))->key, 101);
        items[99].number = -1;
        heap_remove(&heap, &items[99].node, before);
        items[99].key = 1;
        heap_insert(&heap, &items[99].node, before);
        looks = 0;
        assert_int_equal(item_of(heap_find(&heap, before, is_odd, &looks))->key, 1);
        assert_int_equal(looks, 1);
}

/* Inserts so many and takes them out; returns how many comparisons each took. */
static size_t comparisons_for(int count, int64_t (*key)(int number))
{
        comparisons = 0;
        for (int i = 0; i < count; i++) {
                items[i].key = key(i);
                heap_insert(&heap, &items[i].node, before);
        }
        while (heap.first)
                (void)take_first();
        return comparisons / (size_t)count;
}

static int64_t rising(int number)
{
        return number;
}

static int64_t falling(int number)
{
        return -number;
}

static int64_t equal(int number)
{
        (void)number;
        return 0;
}

static int64_t random_key(int number)
{
        (void)number;
        return next_random(MANY);
}

/* Two for each level on the way down, and one for each on the way up. */
static void comparisons_grow_with_the_logarithm(void **state)
{
        static int64_t (*const keys[])(int number) = {rising, falling, equal, random_key};

        (void)state;
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
                assert_in_range(comparisons_for(1000, keys[i]), 1, 3 * 10 + 3);
                assert_in_range(comparisons_for(MANY, keys[i]), 1, 3 * 17 + 3);
        }
}

#define CASE(test) cmocka_unit_test_setup(test, reset)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(nodes_leave_in_order_and_equals_as_they_are_numbered),
                CASE(any_node_can_be_removed_and_the_first_stays_the_least),
                CASE(the_first_that_fits_is_found),
                CASE(comparisons_grow_with_the_logarithm),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
