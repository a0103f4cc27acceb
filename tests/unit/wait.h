/*
 * wait: waiting for what another thread does.
 */
#ifndef SOLVEGATE_TESTS_UNIT_WAIT_H
#define SOLVEGATE_TESTS_UNIT_WAIT_H

#include "base/clock.h"

#include <unistd.h>

/* After this time it hangs. A busy machine takes long for what valgrind runs. */
#define WAIT_MS_MAX 60000

#define WAIT_UNTIL(condition)                                                                      \
        do {                                                                                       \
                int64_t until_ms = clock_monotonic_ms() + WAIT_MS_MAX;                             \
                while (!(condition)) {                                                             \
                        assert_true(clock_monotonic_ms() < until_ms);                              \
                        (void)usleep(1000);                                                        \
                }                                                                                  \
        } while (0)

#endif
