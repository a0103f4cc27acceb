/*
 * clock: see clock.h.
 */
#include "base/clock.h"

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
