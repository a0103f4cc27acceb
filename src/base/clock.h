/*
 * clock: the two clocks. Deadlines and ages are monotonic, what is shown to people is wall time.
 * Thread: any.
 */
#ifndef SOLVEGATE_BASE_CLOCK_H
#define SOLVEGATE_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment; never goes back. */
int64_t clock_monotonic_ms(void);

/* The same clock in microseconds, for durations. */
int64_t clock_monotonic_us(void);

/* Milliseconds since the epoch, UTC. */
int64_t clock_wall_ms(void);

#define CLOCK_DAY_MS      INT64_C(86400000)
#define CLOCK_WALL_MAX_MS INT64_C(253402300799999) /* the end of the year 9999 */

/* The day of a wall time, in days since 1970 (UTC). */
int64_t clock_day_of(int64_t wall_ms);

/* The nearest wall time from 1970 to CLOCK_WALL_MAX_MS, with which it is safe to compute. */
int64_t clock_wall_clamp(int64_t wall_ms);

#endif
