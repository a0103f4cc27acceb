/*
 * quota_fixture: see quota_fixture.h.
 */
#include "quota_fixture.h"

#include "base/clock.h"

#include <time.h>

#define NEVER_MS INT64_C(1000000000000)

struct quota_time at(const char *date)
{
        struct tm parts = {0};
        const char *end = strptime(date, "%Y-%m-%d %H:%M:%S", &parts);

        assert_true(end && *end == '\0');
        int64_t wall_ms = (int64_t)timegm(&parts) * 1000;
        return (struct quota_time){.wall_ms = wall_ms, .monotonic_ms = wall_ms - NEVER_MS};
}

struct quota_time later(struct quota_time now, int64_t ms)
{
        return (struct quota_time){now.wall_ms + ms, now.monotonic_ms + ms};
}

struct quota with_limits(double rate, int64_t burst, int64_t daily, int64_t monthly,
                         struct quota_time now)
{
        const struct quota_limits limits = {rate, burst, daily, monthly};
        struct quota quota;

        quota_init(&quota, now);
        quota_set_limits(&quota, &limits, now);
        return quota;
}

enum quota_verdict charge(struct quota *quota, struct quota_time now)
{
        enum quota_verdict verdict = quota_reserve(quota, now);

        if (verdict == QUOTA_OK)
                quota_settle(quota, clock_day_of(now.wall_ms));
        return verdict;
}

struct quota_figures read_at(struct quota *quota, struct quota_time now)
{
        struct quota_figures figures;

        quota_read(quota, now, &figures);
        return figures;
}

/* xorshift64: the same walk every time. */
static uint64_t walk = UINT64_C(0x2545f4914f6cdd1d);

int64_t below(int64_t bound)
{
        walk ^= walk << 13;
        walk ^= walk >> 7;
        walk ^= walk << 17;
        return (int64_t)(walk % (uint64_t)bound);
}
