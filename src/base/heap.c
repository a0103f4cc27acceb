/*
 * heap: see heap.h. The nodes form a complete binary tree: each level but the last is full, and the
 * last one is filled from the left. So the path to the n-th node is in the bits of n.
 */
#include "base/heap.h"

#include <assert.h>

/* Where the pointer to the n-th node is, from 1 on. */
static struct heap_node **find_place(struct heap *heap, size_t n, struct heap_node **ret_parent)
{
        struct heap_node **place = &heap->first;
        size_t bit = 1;

        while (bit <= n / 2)
                bit <<= 1;
        *ret_parent = NULL;
        while ((bit >>= 1) > 0) {
                *ret_parent = *place;
                place = n & bit ? &(*place)->right : &(*place)->left;
        }
        return place;
}

/* Where the pointer to a node is. */
static struct heap_node **place_of(struct heap *heap, const struct heap_node *node)
{
        if (!node->parent)
                return &heap->first;
        return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

static void adopt(struct heap_node *node)
{
        if (node->left)
                node->left->parent = node;
        if (node->right)
                node->right->parent = node;
}

static void swap_with_parent(struct heap *heap, struct heap_node *node)
{
        struct heap_node *parent = node->parent;
        const struct heap_node old = *node;

        *place_of(heap, parent) = node;
        node->parent = parent->parent;
        node->left = parent->left == node ? parent : parent->left;
        node->right = parent->right == node ? parent : parent->right;
        parent->left = old.left;
        parent->right = old.right;
        adopt(parent);
        adopt(node);
}

static void move_up(struct heap *heap, struct heap_node *node, heap_before_fn *before)
{
        while (node->parent && before(node, node->parent))
                swap_with_parent(heap, node);
}

static void move_down(struct heap *heap, struct heap_node *node, heap_before_fn *before)
{
        for (;;) {
                struct heap_node *child = node->left;
                if (child && node->right && before(node->right, child))
                        child = node->right;
                if (!child || !before(child, node))
                        return;
                swap_with_parent(heap, child);
        }
}

void heap_insert(struct heap *heap, struct heap_node *node, heap_before_fn *before)
{
        assert(!node->in_heap);
        *node = (struct heap_node){.in_heap = true};
        *find_place(heap, ++heap->count, &node->parent) = node;
        move_up(heap, node, before);
}

void heap_remove(struct heap *heap, struct heap_node *node, heap_before_fn *before)
{
        struct heap_node *parent;

        assert(node->in_heap && heap->count > 0);
        struct heap_node **place = find_place(heap, heap->count--, &parent);
        struct heap_node *last = *place;
        *place = NULL;
        if (last != node) { /* it takes the place of the one that goes */
                *last = *node;
                *place_of(heap, node) = last;
                adopt(last);
                move_down(heap, last, before);
                move_up(heap, last, before);
        }
        *node = (struct heap_node){0};
}

/* Looks at a node and those below it, which come after it. The depth is that of the tree. */
static struct heap_node *find_below(struct heap_node *node, struct heap_node *best,
                                    heap_before_fn *before,
                                    bool (*fits)(const struct heap_node *node, void *arg),
                                    void *arg)
{
        if (!node || (best && !before(node, best)))
                return best;
        if (fits(node, arg))
                return node;
        best = find_below(node->left, best, before, fits, arg);
        return find_below(node->right, best, before, fits, arg);
}

struct heap_node *heap_find(const struct heap *heap, heap_before_fn *before,
                            bool (*fits)(const struct heap_node *node, void *arg), void *arg)
{
        return find_below(heap->first, NULL, before, fits, arg);
}
