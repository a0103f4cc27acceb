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

#define CLOCK_TEXT_BYTES sizeof "2026-11-22T16:05:45.123Z"
#define CLOCK_DAY_CHARS  10 /* of these: those of the day */

/* Writes a wall time in UTC (RFC 3339, 5.6), clamped: with milliseconds, and without. */
void clock_write(int64_t wall_ms, char ret_text[static CLOCK_TEXT_BYTES]);
void clock_write_s(int64_t wall_ms, char ret_text[static CLOCK_TEXT_BYTES]);

#endif
