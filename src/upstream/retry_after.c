/*
 * retry_after: see retry_after.h.
 */
#include "upstream/retry_after.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS_PER_SECOND 1000

/* IMF-fixdate, rfc850-date and asctime-date. */
static const char *const date_forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
};

/* strptime(3) is lenient about case, blanks and digits, so the date must be written the same. */
static bool read_form(const char *form, const char *text, struct tm *ret_date)
{
        struct tm date = {0};
        char written[64];

        if (!strptime(text, form, &date))
                return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        size_t len = strftime(written, sizeof written, form, &date);
#pragma GCC diagnostic pop
        *ret_date = date;
        return len > 0 && strcmp(written, text) == 0;
}

/* The year since 1900 of two digits: not more than 50 years ahead (RFC 9110, 5.6.7). */
static int whole_year(int year, int64_t now_s)
{
        time_t now = (time_t)now_s;
        struct tm today = {0};

        (void)gmtime_r(&now, &today);
        year = today.tm_year - today.tm_year % 100 + year % 100;
        return year > today.tm_year + 50 ? year - 100 : year;
}

/* Returns whether text is a date, and which, in seconds since the epoch. */
static bool read_date(const char *text, int64_t now_s, int64_t *ret_s)
{
        struct tm date;

        for (size_t i = 0; i < sizeof date_forms / sizeof *date_forms; i++) {
                if (!read_form(date_forms[i], text, &date))
                        continue;
                if (strstr(date_forms[i], "%y"))
                        date.tm_year = whole_year(date.tm_year, now_s);
                *ret_s = timegm(&date);
                return true;
        }
        return false;
}

/* Whether text has the characters of a number only, since strtod(3) takes words as well. */
static bool looks_like_number(const char *text)
{
        return text[strspn(text, "+-.0123456789eE \t")] == '\0' && strpbrk(text, "0123456789");
}

static int64_t bounded_ms(double ms)
{
        if (!(ms > 0))
                return 0;
        if (ms >= RETRY_AFTER_MAX_MS)
                return RETRY_AFTER_MAX_MS;
        int64_t whole_ms = (int64_t)ms;
        return (double)whole_ms < ms ? whole_ms + 1 : whole_ms;
}

int64_t retry_after_read(const char *text, int64_t now_ms)
{
        int64_t moment_s;
        char *end;

        if (looks_like_number(text)) {
                double seconds = strtod(text, &end); /* the C locale's: nobody sets another */
                bool whole = end != text && end[strspn(end, " \t")] == '\0';
                return whole ? bounded_ms(seconds * MS_PER_SECOND) : 0;
        }
        if (!read_date(text, now_ms / MS_PER_SECOND, &moment_s))
                return 0;
        return bounded_ms((double)moment_s * MS_PER_SECOND - (double)now_ms);
}
