/*
 * job_log: see job_log.h. What may have to be looked into does not give way to what went well.
 */
#include "dispatch/job_log.h"

#include "access/clients.h"
#include "base/clock.h"
#include "base/log_limit.h"
#include "job/job.h"

/* Of each client by itself, and of those whose jobs are known by name alone. */
static struct log_limit ends = LOG_LIMIT(LOG_LEVEL_INFO, "ends of jobs", 5000, 1000);
static struct log_limit troubles = LOG_LIMIT(LOG_LEVEL_WARNING, "troubles of jobs", 1000, 100);
/* Of all together. */
static struct log_limit upstream_troubles =
        LOG_LIMIT(LOG_LEVEL_WARNING, "troubles of upstreams", 1000, 100);

bool job_log_take(enum log_level level, const struct job *job)
{
        if (!log_enabled(level))
                return false;
        struct client_lines *lines = job->flow ? &client_of(job->flow)->lines : NULL;
        int64_t now_us = clock_monotonic_us();
        if (level <= LOG_LEVEL_WARNING)
                return log_limit_take_from(&troubles, lines ? &lines->troubles : &troubles.bucket,
                                           now_us);
        return log_limit_take_from(&ends, lines ? &lines->ends : &ends.bucket, now_us);
}

bool job_log_take_upstream(enum log_level level)
{
        return log_enabled(level) && log_limit_take(&upstream_troubles, clock_monotonic_us());
}

void job_log_stray(const char *upstream)
{
        if (job_log_take_upstream(LOG_LEVEL_WARNING))
                log_warning("upstream %s sent a response that no request was waiting for; it was "
                            "ignored, and its connection closed",
                            upstream);
}

void job_log_end(enum log_level level, const struct job_end *end)
{
        struct log_field fields[] = {
                LOG_TEXT("job", end->job),           LOG_TEXT("outcome", end->outcome),
                LOG_TEXT("client", end->client),     LOG_TEXT("site", end->site),
                LOG_TEXT("upstream", end->upstream), LOG_TEXT("duration_ms", NULL),
                LOG_TEXT("detail", end->detail),
        };

        if (end->duration_ms != JOB_NOT_SENT)
                fields[5] = LOG_INTEGER("duration_ms", end->duration_ms);
        log_event(level, "job", fields, sizeof fields / sizeof *fields);
}

void job_log_step(const char *step, const char *job, const char *upstream, const char *detail)
{
        const struct log_field fields[] = {
                LOG_TEXT("job", job),
                LOG_TEXT("upstream", upstream),
                LOG_TEXT("detail", detail),
        };

        if (log_enabled(LOG_LEVEL_DEBUG))
                log_event(LOG_LEVEL_DEBUG, step, fields, sizeof fields / sizeof *fields);
}
