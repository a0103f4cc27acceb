/*
 * metrics: see metrics.h.
 */
#include "base/metrics.h"

#include "base/strbuf.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static const char *type_name(enum metric_type type)
{
        switch (type) {
        case METRIC_COUNTER:
                return "counter";
        case METRIC_GAUGE:
                break;
        case METRIC_HISTOGRAM:
                return "histogram";
        }
        return "gauge";
}

/* The characters of specials get a backslash; a line feed always does. */
static void append_escaped(struct strbuf *text, const char *value, const char *specials)
{
        size_t len = strlen(value);

        while (len > 0) {
                size_t bytes;
                const char *character = utf8_take(&value, &len, &bytes);
                if (*character == '\n')
                        (void)strbuf_puts(text, "\\n");
                else if (strchr(specials, *character))
                        (void)strbuf_printf(text, "\\%c", *character);
                else
                        (void)strbuf_append(text, character, bytes);
        }
}

void metrics_begin(struct strbuf *text, const struct metric *metric)
{
        (void)strbuf_printf(text, "# HELP %s ", metric->name);
        append_escaped(text, metric->help, "\\");
        (void)strbuf_printf(text, "\n# TYPE %s %s\n", metric->name, type_name(metric->type));
}

static void append_labels(struct strbuf *text, const struct metric *metric,
                          const char *const *values)
{
        const char *before = "{";

        (void)strbuf_puts(text, metric->name);
        for (size_t i = 0; i < METRIC_LABELS_MAX && metric->labels[i]; i++) {
                (void)strbuf_printf(text, "%s%s=\"", before, metric->labels[i]);
                append_escaped(text, values[i], "\\\"");
                (void)strbuf_puts(text, "\"");
                before = ",";
        }
        if (metric->labels[0])
                (void)strbuf_puts(text, "}");
}

void metrics_sample(struct strbuf *text, const struct metric *metric, const char *const *values,
                    int64_t number)
{
        append_labels(text, metric, values);
        (void)strbuf_printf(text, " %" PRId64 "\n", number);
}

void metrics_sample_real(struct strbuf *text, const struct metric *metric,
                         const char *const *values, double number)
{
        append_labels(text, metric, values);
        (void)strbuf_printf(text, " %.15g\n", number);
}

/* ---- histograms ---- */

void metric_observe(struct metric_histogram *histogram, const struct metric_buckets *buckets,
                    double value)
{
        size_t bucket = 0;

        while (bucket < buckets->count && value > buckets->bounds[bucket])
                bucket++;
        histogram->counts[bucket]++;
        histogram->sum += value;
}

void metrics_histogram(struct strbuf *text, const struct metric *metric,
                       const struct metric_buckets *buckets,
                       const struct metric_histogram *histogram)
{
        int64_t count = 0; /* up to the bucket's bound */

        metrics_begin(text, metric);
        for (size_t i = 0; i < buckets->count; i++) {
                count += histogram->counts[i];
                (void)strbuf_printf(text, "%s_bucket{le=\"%.15g\"} %" PRId64 "\n", metric->name,
                                    buckets->bounds[i], count);
        }
        count += histogram->counts[buckets->count];
        (void)strbuf_printf(text, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n", metric->name, count);
        (void)strbuf_printf(text, "%s_sum %.15g\n%s_count %" PRId64 "\n", metric->name,
                            histogram->sum, metric->name, count);
}
