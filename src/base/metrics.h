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

#include <stdint.h>

struct strbuf;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4"
#define METRIC_LABELS_MAX    2

enum metric_type {
        METRIC_COUNTER, /* only grows, but for a restart; its name ends in _total */
        METRIC_GAUGE,
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

#endif
