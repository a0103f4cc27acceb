/*
 * config_date: see config_date.h.
 */
#include "config/config_date.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define DATE_BYTES    10
#define MS_PER_SECOND 1000
#define LAST_DAY_S    INT64_C(253402214400) /* 9999-12-31 */

static int read_digits(const char *text, size_t len)
{
        int value = 0;

        for (size_t i = 0; i < len; i++)
                value = value * 10 + (text[i] - '0');
        return value;
}

static bool has_form(const char *text)
{
        static const char form[] = "dddd-dd-dd";

        if (strlen(text) != DATE_BYTES)
                return false;
        for (size_t i = 0; i < DATE_BYTES; i++) {
                bool digit = text[i] >= '0' && text[i] <= '9';
                if (form[i] == 'd' ? !digit : text[i] != form[i])
                        return false;
        }
        return true;
}

int config_date_end(const char *text, int *ret_year, int64_t *ret_end_ms)
{
        if (!has_form(text))
                return -EINVAL;
        int year = read_digits(text, 4), month = read_digits(text + 5, 2),
            day = read_digits(text + 8, 2);
        struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};

        /* timegm(3) moves a day that there is not, such as February 30, to another month. */
        (void)timegm(&date);
        if (date.tm_mon != month - 1)
                return -EINVAL;
        struct tm next = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day + 1};
        int64_t end_s = timegm(&next);
        *ret_year = year;
        *ret_end_ms = end_s * MS_PER_SECOND;
        return 0;
}

void config_date_write(int64_t moment_ms, char ret_text[static CONFIG_DATE_BYTES])
{
        int64_t moment_s = moment_ms / MS_PER_SECOND;
        time_t seconds = (time_t)(moment_s < LAST_DAY_S ? moment_s : LAST_DAY_S);
        struct tm date;

        (void)gmtime_r(&seconds, &date);
        (void)strftime(ret_text, CONFIG_DATE_BYTES, "%Y-%m-%d", &date);
}
