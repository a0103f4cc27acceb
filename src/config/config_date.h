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

#endif
