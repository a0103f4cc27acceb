/*
 * retry_after: how long an upstream asks to wait, in seconds or as a date.
 *
 * A wait that is too long, or too large for any integer, is cut to RETRY_AFTER_MAX_MS: to ignore it
 * would mean to send again at once. What is not a time at all is ignored. Pure functions. Thread:
 * any.
 */
#ifndef SOLVEGATE_UPSTREAM_RETRY_AFTER_H
#define SOLVEGATE_UPSTREAM_RETRY_AFTER_H

#include <stdint.h>

/* The breaker cuts its waits to the same. An accepted job would not be polled before its deadline
 * if this were longer than limits.job_deadline is by default. */
#define RETRY_AFTER_MAX_MS 60000

/*
 * Reads the value of a Retry-After field (RFC 9110, 10.2.3), which is a number of seconds or an
 * HTTP-date in any of its three forms (5.6.7), or of a member with the same meaning. A number may
 * have a fraction and an exponent. now_ms is the wall clock. Returns the wait in milliseconds, 1 to
 * RETRY_AFTER_MAX_MS; 0 for a moment that has passed, for a number that is not positive, and for
 * text that is neither.
 */
int64_t retry_after_read(const char *text, int64_t now_ms);

#endif
