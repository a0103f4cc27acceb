/*
 * job_log: the lines about single jobs, and how many of them are written: clients can make them
 * come fast, each its own.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_DISPATCH_JOB_LOG_H
#define SOLVEGATE_DISPATCH_JOB_LOG_H

#include "base/log.h"

struct job;

/* Whether a line of this level about the end of a job is to be written now; then it counts. Who
 * paid before a crash for a purchase that others wait for has no flow; lines about such share a
 * limit. */
bool job_log_take(enum log_level level, const struct job *job);

/* The same of a line about a request to an upstream, whosever job it was for. */
bool job_log_take_upstream(enum log_level level);

/* Warns that an upstream wrote a response that no request was waiting for. */
void job_log_stray(const char *upstream);

/* How a job has ended. Texts may be NULL, which leaves them out, but for the outcome. */
struct job_end {
        const char *job;     /* its id */
        const char *outcome; /* a state, or the code of an error */
        const char *client;
        const char *site;
        const char *upstream;
        const char *detail;  /* the sentence that its client is told */
        int64_t duration_ms; /* since it was sent; JOB_NOT_SENT: it has none */
};

#define JOB_NOT_SENT (-1)

/* Writes the line of a job's end. */
void job_log_end(enum log_level level, const struct job_end *end);

/* Writes, at debug, what became of a job on its way. */
void job_log_step(const char *step, const char *job, const char *upstream, const char *detail);

#endif
