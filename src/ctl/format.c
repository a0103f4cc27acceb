/*
 * format: see format.h.
 */
#include "ctl/format.h"

#include <stddef.h>
#include <stdio.h>

#define SECONDS_MAX 1e12 /* beyond, a number of days tells nobody anything */
#define WHOLE_MAX   1e15 /* below, every whole number is itself */

struct format_text format_duration(double seconds)
{
        static const struct {
                double seconds;
                const char *name;
        } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
        struct format_text result;

        if (!(seconds > -SECONDS_MAX && seconds < SECONDS_MAX)) {
                (void)snprintf(result.text, sizeof result.text, "?");
                return result;
        }
        const char *sign = seconds < 0 ? "-" : "";
        seconds = seconds < 0 ? -seconds : seconds;
        if (seconds < 9.95) {
                (void)snprintf(result.text, sizeof result.text, "%s%.1f s", sign, seconds);
                return result;
        }
        long long whole = (long long)(seconds + 0.5);
        size_t i = 0;
        while (whole < units[i].seconds)
                i++;
        long long size = (long long)units[i].seconds, rest = whole % size;
        long long smaller = size > 1 ? rest / (long long)units[i + 1].seconds : 0;
        int n = snprintf(result.text, sizeof result.text, "%s%lld %s", sign, whole / size,
                         units[i].name);
        if (smaller > 0)
                (void)snprintf(result.text + n, sizeof result.text - (size_t)n, " %lld %s", smaller,
                               units[i + 1].name);
        return result;
}

struct format_text format_bytes(double bytes)
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        struct format_text result;
        size_t i = 0;

        while (bytes >= 1023.95 && i + 1 < sizeof units / sizeof units[0]) {
                bytes /= 1024;
                i++;
        }
        (void)snprintf(result.text, sizeof result.text, i == 0 ? "%.0f %s" : "%.1f %s", bytes,
                       units[i]);
        return result;
}

struct format_text format_number(double number)
{
        struct format_text result;

        if (number > -WHOLE_MAX && number < WHOLE_MAX && number == (double)(long long)number)
                (void)snprintf(result.text, sizeof result.text, "%lld", (long long)number);
        else
                (void)snprintf(result.text, sizeof result.text, "%.6g", number);
        return result;
}
