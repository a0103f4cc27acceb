/*
 * log_limit: how many lines of one kind are written, where somebody outside can cause them.
 *
 * A token bucket for the whole process, or one for each of those who should not hide what others
 * do. What is left out is counted, and told by log_limits_tell().
 *
 * Thread: any, without a lock.
 */
#ifndef SOLVEGATE_BASE_LOG_LIMIT_H
#define SOLVEGATE_BASE_LOG_LIMIT_H

#include "base/log.h"

#include <stdatomic.h>

/* All zero it is full. */
struct log_bucket {
        _Atomic int64_t full_us; /* monotonic: when it is full again */
};

/* A static object of whoever writes the lines; initialised by LOG_LIMIT. */
struct log_limit {
        /* immutable */
        enum log_level level; /* of the line that tells what was left out */
        const char *what;     /* its words: "requests" */
        int64_t interval_us;  /* between two lines in the long run */
        int64_t burst;        /* so many at once */

        struct log_bucket bucket; /* of the process */
        _Atomic int64_t left_out; /* and not told yet */
        _Atomic int64_t told_us;  /* monotonic: when that was last told */
        _Atomic bool listed;
        struct log_limit *next; /* set once, before it is listed */
};

#define LOG_LIMIT(level_, what_, burst_, per_second_)                                              \
        {                                                                                          \
                .level = (level_), .what = (what_), .interval_us = 1000000 / (per_second_),        \
                .burst = (burst_)                                                                  \
        }

/*
 * Whether a line may be written at now_us (clock_monotonic_us); then it counts. Else it is counted
 * as left out. To be asked only for lines whose level is enabled.
 */
bool log_limit_take(struct log_limit *limit, int64_t now_us);

/* The same from a bucket of somebody's own. */
bool log_limit_take_from(struct log_limit *limit, struct log_bucket *bucket, int64_t now_us);

/*
 * Writes `WHAT not logged: N` for each limit that has left something out, each at most once a
 * second. To be called now and then, and with INT64_MAX at the end.
 */
void log_limits_tell(int64_t now_us);

#endif
