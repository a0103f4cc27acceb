/*
 * log: one line for each event, as text or JSON on standard error, or to the journal.
 *
 * No caller ever waits for whoever reads the log: a line that is not taken at once is lost, and
 * the next one that gets through is preceded by how many were. Only a regular file is just
 * written. Text from outside is escaped: a line never holds a control character or
 * another that is hidden (base/utf8), nor what looks like a client's token (base/secret), in its
 * message or in a field. Never pass a credential or a token.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_BASE_LOG_H
#define SOLVEGATE_BASE_LOG_H

#include "base/log_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format {
        LOG_FORMAT_TEXT,    /* 2026-11-22T16:05:45.123Z info message name=value */
        LOG_FORMAT_JSON,    /* {"time":"…","level":"info","message":"…","name":"value"} */
        LOG_FORMAT_JOURNAL, /* fields of the journal: MESSAGE=…, PRIORITY=6, SOLVEGATE_NAME=value */
};

/*
 * Sets level and format; may be called again at any time. Before the first call: info, text. What
 * standard error is, is looked at once, for the first line.
 */
void log_init(enum log_level level, enum log_format format);

/* Tells whether a line of this level would be written. */
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line with fields. The message is what it is, no format. */
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

/*
 * A line as it is, on standard error in every format and at every level: for what programs wait
 * for. Requires less than LOG_MESSAGE_BYTES_MAX; the line feed is added.
 */
void log_raw(const char *line);

/* How many lines were lost since the start, because they were not taken, or not at once. */
int64_t log_lost(void);

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
        do {                                                                                       \
                if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
                        log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                    \
        } while (0)

#endif
