/*
 * heap: a binary heap whose nodes are part of what it orders, so that nothing is allocated.
 *
 * Zeroed, a heap is empty. Each function gets the order: before(a, b) returns whether a is to be
 * taken before b. It must be the same one for all calls about one heap, and what it compares must
 * not change while a node is in the heap. Not locked.
 */
#ifndef SOLVEGATE_BASE_HEAP_H
#define SOLVEGATE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, it is in no heap. */
struct heap_node {
        struct heap_node *parent, *left, *right; /* valid in a heap */
        bool in_heap;
};

struct heap {
        struct heap_node *first; /* NULL: it is empty */
        size_t count;
};

typedef bool heap_before_fn(const struct heap_node *a, const struct heap_node *b);

/* Inserts a node that is in no heap, in O(log n). */
void heap_insert(struct heap *heap, struct heap_node *node, heap_before_fn *before);

/* Removes a node, which must be in this heap, in O(log n). */
void heap_remove(struct heap *heap, struct heap_node *node, heap_before_fn *before);

/*
 * Returns the first node for which fits(node, arg) returns true, or NULL. Looks at no node behind
 * one that fits.
 */
struct heap_node *heap_find(const struct heap *heap, heap_before_fn *before,
                            bool (*fits)(const struct heap_node *node, void *arg), void *arg);

#endif
