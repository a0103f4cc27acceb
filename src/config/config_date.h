/*
 * config_date: a day of the calendar as a text.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_DATE_H
#define SOLVEGATE_CONFIG_CONFIG_DATE_H

#include <stdint.h>

/*
 * Reads YYYY-MM-DD (RFC 3339, full-date) of a day that there is, by the Gregorian calendar. Returns
 * 0 and the first moment after that day, in milliseconds since the epoch, UTC; else -EINVAL.
 * Thread: any.
 */
int config_date_end(const char *text, int *ret_year, int64_t *ret_end_ms);

#define CONFIG_DATE_BYTES 11 /* YYYY-MM-DD and NUL */

/*
 * Writes the day (UTC) of a moment in milliseconds since the epoch; one after the year 9999 as its
 * last. Thread: any.
 */
void config_date_write(int64_t moment_ms, char ret_text[static CONFIG_DATE_BYTES]);

#endif
