/*
 * job_log: see job_log.h. What may have to be looked into does not give way to what went well.
 */
#include "engine/job_log.h"

#include "base/clock.h"
#include "base/log_limit.h"

static struct log_limit ends = LOG_LIMIT(LOG_LEVEL_INFO, "ends of jobs", 5000, 1000);
static struct log_limit troubles = LOG_LIMIT(LOG_LEVEL_WARNING, "troubles of jobs", 1000, 100);

bool job_log_take(enum log_level level)
{
        return log_enabled(level) &&
               log_limit_take(level <= LOG_LEVEL_WARNING ? &troubles : &ends, clock_monotonic_us());
}
