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

#endif
