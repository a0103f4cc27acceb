/*
 * retry_after: see retry_after.h.
 */
#include "upstream/retry_after.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS_PER_SECOND 1000

/* IMF-fixdate, rfc850-date and asctime-date. Each of D, Y, y, h, m and s matches a digit, "_" a
 * digit or a space, "w" the letters of a weekday, "bbb" the name of a month. Any other character
 * matches itself. */
static const char *const date_forms[] = {
        "w, DD bbb YYYY hh:mm:ss GMT",
        "w, DD-bbb-yy hh:mm:ss GMT",
        "w bbb _D hh:mm:ss YYYY",
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Which month's name is at the start of text, 0 to 11, or -1. */
static int month_of(const char *text)
{
        static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

        for (int month = 0; month < 12; month++) {
                if (strncmp(text, names + 3 * month, 3) == 0)
                        return month;
        }
        return -1;
}

/* The part of the date that a letter of a form sets, or NULL. */
static int *part_of(struct tm *date, char letter)
{
        switch (letter) {
        case 'D':
        case '_':
                return &date->tm_mday;
        case 'Y':
        case 'y':
                return &date->tm_year;
        case 'h':
                return &date->tm_hour;
        case 'm':
                return &date->tm_min;
        case 's':
                return &date->tm_sec;
        default:
                return NULL;
        }
}

/* Passes the text that matches the next place of the form. Returns false if it does not match. */
static bool read_place(const char **form, const char **text, struct tm *date)
{
        char letter = *(*form)++;
        int *part = part_of(date, letter);

        if (letter == 'w') {
                const char *start = *text;
                while (is_letter(**text))
                        (*text)++;
                return *text > start;
        }
        if (letter == 'b') {
                date->tm_mon = month_of(*text);
                *form += 2;
                *text += date->tm_mon < 0 ? 0 : 3;
                return date->tm_mon >= 0;
        }
        char c = *(*text)++;
        if (!part)
                return c == letter;
        if (letter == '_' && c == ' ')
                return true;
        *part = *part * 10 + (c - '0');
        return is_digit(c);
}

static bool read_form(const char *form, const char *text, struct tm *ret_date)
{
        struct tm date = {0};

        while (*form && *text) {
                if (!read_place(&form, &text, &date))
                        return false;
        }
        *ret_date = date;
        return !*form && !*text;
}

/* A year of two digits is not more than 50 years ahead (RFC 9110, 5.6.7). */
static int whole_year(int two_digits, int64_t now_s)
{
        time_t now = (time_t)now_s;
        struct tm today = {0};

        (void)gmtime_r(&now, &today);
        int this_year = today.tm_year + 1900, year = this_year - this_year % 100 + two_digits;
        if (year > this_year + 50)
                year -= 100;
        return year;
}

/* Returns whether text is a date, and which, in seconds since the epoch. */
static bool read_date(const char *text, int64_t now_s, int64_t *ret_s)
{
        struct tm date;

        for (size_t i = 0; i < sizeof date_forms / sizeof *date_forms; i++) {
                if (!read_form(date_forms[i], text, &date))
                        continue;
                if (strchr(date_forms[i], 'y'))
                        date.tm_year = whole_year(date.tm_year, now_s);
                date.tm_year -= 1900;
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
