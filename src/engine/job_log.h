/*
 * job_log: how many lines about single jobs are written; clients can make them come fast.
 * Thread: any.
 */
#ifndef SOLVEGATE_ENGINE_JOB_LOG_H
#define SOLVEGATE_ENGINE_JOB_LOG_H

#include "base/log.h"

/* Whether a line of this level about one job is to be written now; then it counts. */
bool job_log_take(enum log_level level);

#endif
