/*
 * clock: see clock.h.
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_ms(clockid_t id)
{
        struct timespec now;

        (void)clock_gettime(id, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
        return clock_ms(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_us(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
        return clock_ms(CLOCK_REALTIME);
}

int64_t clock_day_of(int64_t wall_ms)
{
        int64_t day = wall_ms / CLOCK_DAY_MS;

        return wall_ms % CLOCK_DAY_MS < 0 ? day - 1 : day;
}

int64_t clock_wall_clamp(int64_t wall_ms)
{
        if (wall_ms < 0)
                return 0;
        return wall_ms < CLOCK_WALL_MAX_MS ? wall_ms : CLOCK_WALL_MAX_MS;
}

void clock_write(int64_t wall_ms, char ret_text[static CLOCK_TEXT_BYTES])
{
        size_t fraction = sizeof "2026-11-22T16:05:45" - 1;

        clock_write_s(wall_ms, ret_text);
        (void)snprintf(ret_text + fraction, CLOCK_TEXT_BYTES - fraction, ".%03dZ",
                       (int)(clock_wall_clamp(wall_ms) % 1000));
}

void clock_write_s(int64_t wall_ms, char ret_text[static CLOCK_TEXT_BYTES])
{
        time_t seconds = (time_t)(clock_wall_clamp(wall_ms) / 1000);
        struct tm utc = {0};

        (void)gmtime_r(&seconds, &utc);
        (void)strftime(ret_text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
