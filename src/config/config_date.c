/*
 * config_date: see config_date.h.
 */
#include "config/config_date.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DATE_BYTES    10
#define MS_PER_SECOND 1000

int config_date_end(const char *text, int *ret_year, int64_t *ret_end_ms)
{
        struct tm date = {0};

        /* strptime(3) alone takes blanks and fewer digits. */
        if (strspn(text, "0123456789-") != DATE_BYTES || text[4] != '-' || text[7] != '-')
                return -EINVAL;
        const char *end = strptime(text, "%Y-%m-%d", &date);
        if (!end || *end != '\0')
                return -EINVAL;
        struct tm next = {
                .tm_year = date.tm_year, .tm_mon = date.tm_mon, .tm_mday = date.tm_mday + 1};
        int month = date.tm_mon;
        /* timegm(3) moves a day that there is not, such as February 30, to another month. */
        (void)timegm(&date);
        if (date.tm_mon != month)
                return -EINVAL;
        int64_t end_s = timegm(&next);
        *ret_year = date.tm_year + 1900;
        *ret_end_ms = end_s * MS_PER_SECOND;
        return 0;
}

void config_date_write(int64_t moment_ms, char ret_text[static CONFIG_DATE_BYTES])
{
        char text[CLOCK_TEXT_BYTES];

        clock_write(moment_ms, text);
        memcpy(ret_text, text, CLOCK_DAY_CHARS);
        ret_text[CLOCK_DAY_CHARS] = '\0';
}
