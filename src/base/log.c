/*
 * log: see log.h. The two settings are atomic, so that a reload may change them under way.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 2048
#define LINE_BYTES_MAX    (MESSAGE_BYTES_MAX * 6 + 128) /* every byte escaped as \u00xx */

static _Atomic int max_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_TEXT;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_init(enum log_level level, enum log_format format)
{
        atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
        atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
        return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

/* RFC 3339, UTC, milliseconds. */
static void format_time(char ret[static 32])
{
        int64_t now_ms = clock_wall_ms();
        time_t seconds = (time_t)(now_ms / 1000);
        struct tm tm;
        char date[24];

        (void)gmtime_r(&seconds, &tm);
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(ret, 32, "%s.%03dZ", date, (int)(now_ms % 1000));
}

/* Text lines show control characters as JSON would, but leave quotes as they are. */
static void append_visible(struct strbuf *line, const char *text)
{
        for (; *text; text++) {
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        (void)strbuf_printf(line, "\\x%02x", (unsigned char)*text);
                else
                        (void)strbuf_append(line, text, 1);
        }
}

void log_line(enum log_level level, const char *format, ...)
{
        char message[MESSAGE_BYTES_MAX], now[32];
        struct strbuf line;
        va_list args;

        if (!log_enabled(level))
                return;
        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        format_time(now);

        strbuf_init(&line, LINE_BYTES_MAX);
        if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_FORMAT_JSON) {
                (void)strbuf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", now,
                                    level_names[level]);
                (void)strbuf_append_json_string(&line, message, strlen(message));
                (void)strbuf_puts(&line, "}");
        } else {
                (void)strbuf_printf(&line, "%s %s ", now, level_names[level]);
                append_visible(&line, message);
        }
        (void)strbuf_puts(&line, "\n");
        /* A log that cannot be written has nowhere to be reported. */
        if (!line.failed && write(STDERR_FILENO, line.data, line.len) < 0)
                (void)0;
        strbuf_done(&line);
}
