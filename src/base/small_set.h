/*
 * small_set: a set of numbers from 0 to SMALL_SET_SIZE - 1. Zeroed, it is empty.
 */
#ifndef SOLVEGATE_BASE_SMALL_SET_H
#define SOLVEGATE_BASE_SMALL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SMALL_SET_SIZE 256

struct small_set {
        uint64_t words[SMALL_SET_SIZE / 64];
};

/* Whether the number, which is below SMALL_SET_SIZE here and below, is in the set. */
static inline bool small_set_has(const struct small_set *set, size_t number)
{
        return (set->words[number / 64] >> (number % 64)) & 1;
}

static inline void small_set_add(struct small_set *set, size_t number)
{
        set->words[number / 64] |= UINT64_C(1) << (number % 64);
}

static inline bool small_set_equal(const struct small_set *one, const struct small_set *other)
{
        return memcmp(one, other, sizeof *one) == 0;
}

#endif
