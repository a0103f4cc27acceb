/*
 * log: one line for each event, on standard error.
 *
 * A line is written by one write(2), so lines of several threads do not mix (on a pipe up to its
 * PIPE_BUF, 4096 bytes, which nearly all are). Text from outside is escaped: a line never holds a
 * raw control character, nor a mark that turns the direction of writing, nor what looks like a
 * client's token (base/secret). Never pass a credential or a token.
 *
 * Thread: any, after log_init().
 */
#ifndef SOLVEGATE_BASE_LOG_H
#define SOLVEGATE_BASE_LOG_H

#include <stdbool.h>

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
};

enum log_format {
        LOG_FORMAT_TEXT, /* 2026-11-22T16:05:45.123Z info message */
        LOG_FORMAT_JSON, /* {"time":"…","level":"info","message":"…"} */
};

/* Sets level and format. Before the first call: info, text. */
void log_init(enum log_level level, enum log_format format);

/* Tells whether a line of this level would be written. */
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
        do {                                                                                       \
                if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
                        log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                    \
        } while (0)

#endif
