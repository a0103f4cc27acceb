/*
 * log: see log.h. The two settings are atomic, so that a reload may change them under way.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 2048
#define LINE_BYTES_MAX    (MESSAGE_BYTES_MAX * 6 + 128) /* every byte escaped */

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

/*
 * Whether a sequence of UTF-8 could make a reader see another line than was written: C0 and C1
 * controls, line separators, and the marks that turn the direction of writing.
 */
static bool deceives(const unsigned char *text, size_t len)
{
        if (len == 1)
                return text[0] < 0x20 || text[0] == 0x7f;
        if (len == 2)
                return (text[0] == 0xc2 && text[1] < 0xa0) ||
                       (text[0] == 0xd8 && text[1] == 0x9c); /* U+061C */
        if (len != 3 || text[0] != 0xe2)
                return false;
        return (text[1] == 0x80 && (text[2] == 0x8e || text[2] == 0x8f)) || /* U+200E, U+200F */
               (text[1] == 0x80 && text[2] >= 0xa8 && text[2] <= 0xae) ||   /* U+2028 to U+202E */
               (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9);     /* U+2066 to U+2069 */
}

/* Appends text; what deceives, and bytes that are no UTF-8, as \xNN. */
static void append_visible(struct strbuf *line, const char *message)
{
        const unsigned char *next = (const unsigned char *)message, *end = next + strlen(message);

        while (next < end) {
                size_t len = utf8_sequence(next, (size_t)(end - next));
                bool shown = len > 0 && !deceives(next, len);
                if (len == 0)
                        len = 1;
                if (shown)
                        (void)strbuf_append(line, next, len);
                for (size_t i = 0; !shown && i < len; i++)
                        (void)strbuf_printf(line, "\\x%02x", next[i]);
                next += len;
        }
}

void log_line(enum log_level level, const char *format, ...)
{
        char message[MESSAGE_BYTES_MAX], now[32];
        struct strbuf visible, line;
        va_list args;

        if (!log_enabled(level))
                return;
        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        secret_mask(message);
        format_time(now);

        strbuf_init(&visible, LINE_BYTES_MAX);
        strbuf_init(&line, LINE_BYTES_MAX);
        append_visible(&visible, message);
        const char *text = visible.data ? visible.data : "";
        if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_FORMAT_JSON) {
                (void)strbuf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", now,
                                    level_names[level]);
                (void)strbuf_append_json_string(&line, text, strlen(text));
                (void)strbuf_puts(&line, "}");
        } else {
                (void)strbuf_printf(&line, "%s %s %s", now, level_names[level], text);
        }
        strbuf_done(&visible);
        (void)strbuf_puts(&line, "\n");
        /* A log that cannot be written has nowhere to be reported. */
        if (!line.failed && write(STDERR_FILENO, line.data, line.len) < 0)
                (void)0;
        strbuf_done(&line);
}
