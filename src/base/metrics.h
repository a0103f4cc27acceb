/*
 * metrics: text in Prometheus's exposition format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * A metric is described once, in a constant; its samples are written behind its head. Whoever
 * counts keeps the numbers, under a lock of his own. Each label's values come from a fixed table or
 * from the configuration, never from a request, so that their number is bounded.
 *
 * What fails marks the strbuf as failed. Thread: any, on a strbuf of its own.
 */
#ifndef SOLVEGATE_BASE_METRICS_H
#define SOLVEGATE_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4"
#define METRIC_LABELS_MAX    3

enum metric_type {
        METRIC_COUNTER, /* only grows, but for a restart; its name ends in _total */
        METRIC_GAUGE,
        METRIC_HISTOGRAM,
};

struct metric {
        const char *name;
        enum metric_type type;
        const char *help;                      /* one sentence */
        const char *labels[METRIC_LABELS_MAX]; /* their names; NULL: no more */
};

/* Begins a metric. All its samples come next, and nothing else between them. */
void metrics_begin(struct strbuf *text, const struct metric *metric);

/*
 * Writes one sample. values has one for each label of the metric, and may be NULL for one without
 * labels. Bytes that are no UTF-8 become U+FFFD: the whole page would be refused for them.
 */
void metrics_sample(struct strbuf *text, const struct metric *metric, const char *const *values,
                    int64_t number);

/* The same of a number with a fraction, which is finite. */
void metrics_sample_real(struct strbuf *text, const struct metric *metric,
                         const char *const *values, double number);

/* ---- histograms ---- */

#define METRIC_BUCKETS_MAX 16

/* The upper bounds of the buckets, rising; the last bucket, without one, is not among them. */
struct metric_buckets {
        const double *bounds;
        size_t count; /* up to METRIC_BUCKETS_MAX */
};

/* What was observed. Zeroed, it is nothing. Not locked. */
struct metric_histogram {
        int64_t counts[METRIC_BUCKETS_MAX + 1]; /* in each bucket alone; beyond the last bound,
                                                   behind it */
        double sum;
};

void metric_observe(struct metric_histogram *histogram, const struct metric_buckets *buckets,
                    double value);

/* Begins a metric without labels, and writes all its samples. */
void metrics_histogram(struct strbuf *text, const struct metric *metric,
                       const struct metric_buckets *buckets,
                       const struct metric_histogram *histogram);

#endif
