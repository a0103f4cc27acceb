/*
 * metrics: see metrics.h.
 */
#include "base/metrics.h"

#include "base/strbuf.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static const char *type_name(enum metric_type type)
{
        switch (type) {
        case METRIC_COUNTER:
                return "counter";
        case METRIC_GAUGE:
                break;
        }
        return "gauge";
}

/* The characters of specials get a backslash; a line feed always does. */
static void append_escaped(struct strbuf *text, const char *value, const char *specials)
{
        size_t len = strlen(value);

        while (len > 0) {
                size_t bytes = utf8_sequence((const unsigned char *)value, len);
                if (bytes == 0)
                        (void)strbuf_puts(text, REPLACEMENT);
                else if (*value == '\n')
                        (void)strbuf_puts(text, "\\n");
                else if (strchr(specials, *value))
                        (void)strbuf_printf(text, "\\%c", *value);
                else
                        (void)strbuf_append(text, value, bytes);
                bytes += bytes == 0;
                value += bytes;
                len -= bytes;
        }
}

void metrics_begin(struct strbuf *text, const struct metric *metric)
{
        (void)strbuf_printf(text, "# HELP %s ", metric->name);
        append_escaped(text, metric->help, "\\");
        (void)strbuf_printf(text, "\n# TYPE %s %s\n", metric->name, type_name(metric->type));
}

void metrics_sample(struct strbuf *text, const struct metric *metric, const char *const *values,
                    int64_t number)
{
        const char *before = "{";

        (void)strbuf_puts(text, metric->name);
        for (size_t i = 0; i < METRIC_LABELS_MAX && metric->labels[i]; i++) {
                (void)strbuf_printf(text, "%s%s=\"", before, metric->labels[i]);
                append_escaped(text, values[i], "\\\"");
                (void)strbuf_puts(text, "\"");
                before = ",";
        }
        (void)strbuf_printf(text, "%s %" PRId64 "\n", metric->labels[0] ? "}" : "", number);
}
