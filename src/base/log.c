/*
 * log: see log.h. The settings are atomic, so that a reload may change them under way. The lock is
 * held while a line is made and handed over, which never waits.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_record.h"
#include "base/log_sink.h"
#include "base/strbuf.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static _Atomic int max_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_TEXT;
static _Atomic int64_t lines_lost;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct log_sink sink;    /* guarded by mutex */
static bool sink_open;          /* likewise */
static int64_t lost_told;       /* likewise: how many of lines_lost the log has told */
static int lost_error;          /* likewise: why the last of them was */
static bool journal_is_missing; /* likewise: and the log has told so */

void log_init(enum log_level level, enum log_format format)
{
        atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
        atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
        return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

int64_t log_lost(void)
{
        return atomic_load_explicit(&lines_lost, memory_order_relaxed);
}

/* ---- one record ---- */

static int write_stderr_locked(const struct log_record *record, enum log_format format)
{
        struct strbuf line;

        strbuf_init(&line, LOG_LINE_BYTES_MAX);
        if (format == LOG_FORMAT_JSON)
                (sink.journal_stream ? log_record_json_stream : log_record_json)(record, &line);
        else
                (sink.journal_stream ? log_record_stream : log_record_text)(record, &line);
        int r = line.failed ? -ENOMEM : log_sink_write(&sink, line.data, line.len);
        strbuf_done(&line);
        return r;
}

/* Once for as long as it stays away. */
static void tell_missing_locked(int error)
{
        char message[256];

        if (journal_is_missing)
                return;
        journal_is_missing = true;
        (void)snprintf(message, sizeof message,
                       "the journal's socket " JOURNAL_SOCKET
                       " cannot be reached: %s; the log goes to standard error as text",
                       strerror(error));
        const struct log_record record = {
                .level = LOG_LEVEL_WARNING, .wall_ms = clock_wall_ms(), .message = message};
        (void)write_stderr_locked(&record, LOG_FORMAT_TEXT);
}

static int write_journal_locked(const struct log_record *record)
{
        struct strbuf datagram;

        strbuf_init(&datagram, LOG_LINE_BYTES_MAX);
        log_record_journal(record, &datagram);
        int r = datagram.failed ? -ENOMEM
                                : log_sink_send_journal(&sink, datagram.data, datagram.len);
        strbuf_done(&datagram);
        if (r == 0)
                journal_is_missing = false;
        if (r == 0 || r == -EAGAIN || r == -ENOMEM)
                return r;
        tell_missing_locked(-r);
        return write_stderr_locked(record, LOG_FORMAT_TEXT);
}

static int write_locked(const struct log_record *record)
{
        enum log_format format =
                (enum log_format)atomic_load_explicit(&line_format, memory_order_relaxed);

        switch (format) {
        case LOG_FORMAT_TEXT:
        case LOG_FORMAT_JSON:
                return write_stderr_locked(record, format);
        case LOG_FORMAT_JOURNAL:
                break;
        }
        return write_journal_locked(record);
}

/* Returns 0 where nothing is left to be told, or -errno. */
static int tell_lost_locked(int64_t wall_ms)
{
        int64_t lost = log_lost() - lost_told;
        char message[256];

        if (lost == 0)
                return 0;
        (void)snprintf(message, sizeof message, "%lld lines were lost: %s", (long long)lost,
                       lost_error == EAGAIN ? "the log did not take them at once"
                                            : strerror(lost_error));
        const struct log_record record = {
                .level = LOG_LEVEL_WARNING, .wall_ms = wall_ms, .message = message};
        int r = write_locked(&record);
        if (r == 0)
                lost_told += lost;
        return r;
}

/* Before the first line. */
static void open_locked(void)
{
        if (!sink_open)
                log_sink_open(&sink, STDERR_FILENO, JOURNAL_SOCKET);
        sink_open = true;
}

static void lose_locked(int error)
{
        lost_error = error;
        (void)atomic_fetch_add_explicit(&lines_lost, 1, memory_order_relaxed);
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count)
{
        const struct log_record record = {
                .level = level,
                .wall_ms = clock_wall_ms(),
                .message = message,
                .fields = fields,
                .count = count,
        };

        if (!log_enabled(level))
                return;
        (void)pthread_mutex_lock(&mutex);
        open_locked();
        int r = tell_lost_locked(record.wall_ms);
        if (r == 0)
                r = write_locked(&record);
        if (r < 0)
                lose_locked(-r);
        (void)pthread_mutex_unlock(&mutex);
}

void log_raw(const char *line)
{
        char text[LOG_MESSAGE_BYTES_MAX];

        (void)snprintf(text, sizeof text, "%s\n", line);
        (void)pthread_mutex_lock(&mutex);
        open_locked();
        int r = log_sink_write(&sink, text, strlen(text));
        if (r < 0)
                lose_locked(-r);
        (void)pthread_mutex_unlock(&mutex);
}

void log_line(enum log_level level, const char *format, ...)
{
        char message[LOG_MESSAGE_BYTES_MAX];
        va_list args;

        if (!log_enabled(level))
                return;
        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        log_event(level, message, NULL, 0);
}
