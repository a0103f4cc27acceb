/*
 * allowance: how much an upstream's answer about its account says is left, as one number.
 *
 * A pure function. Thread: any.
 */
#ifndef SOLVEGATE_UPSTREAM_ALLOWANCE_H
#define SOLVEGATE_UPSTREAM_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads the members of the answer, without braces: `planlimit` less `used` of generation 1, solves;
 * `Balance` of generation 2, money. Returns whether it says either, and sets *ret_left then.
 */
bool allowance_left(const char *members, size_t len, double *ret_left);

#endif
