/*
 * log_record: one event of the log, with its level and its fields, in each of its forms.
 *
 * Each function appends to a strbuf, which is marked as failed where it does not fit. Everything
 * that comes from outside is cut to its ceiling, masked (base/secret) and made visible on the way.
 *
 * Thread: any, on a strbuf of its own.
 */
#ifndef SOLVEGATE_BASE_LOG_RECORD_H
#define SOLVEGATE_BASE_LOG_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define LOG_MESSAGE_BYTES_MAX 2048
#define LOG_VALUE_BYTES_MAX   512   /* of a field's text */
#define LOG_LINE_BYTES_MAX    65536 /* a message and a dozen fields with every byte escaped */

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
};

enum log_field_type {
        LOG_FIELD_TEXT,
        LOG_FIELD_INTEGER,
        LOG_FIELD_MS, /* milliseconds with a fraction; the number is in microseconds */
};

/* What an event is about. Names are lower case letters and '_', and the same for every reader. */
struct log_field {
        const char *name;
        enum log_field_type type;
        const char *text; /* NULL: the field is left out */
        int64_t number;
};

#define LOG_TEXT(name_, text_)                                                                     \
        ((struct log_field){.name = (name_), .type = LOG_FIELD_TEXT, .text = (text_)})
#define LOG_INTEGER(name_, number_)                                                                \
        ((struct log_field){.name = (name_), .type = LOG_FIELD_INTEGER, .number = (number_)})
#define LOG_MS(name_, us_)                                                                         \
        ((struct log_field){.name = (name_), .type = LOG_FIELD_MS, .number = (us_)})

struct log_record {
        enum log_level level;
        int64_t wall_ms;
        const char *message;
        const struct log_field *fields;
        size_t count;
};

/*
 * `TIME LEVEL MESSAGE NAME=VALUE …` and a line feed. A value is quoted where it has to be; in a
 * message no '=' stands right behind a word without capitals, so that the first that does is a
 * field's.
 */
void log_record_text(const struct log_record *record, struct strbuf *line);

/* The same for a stream that the journal reads: `<N>` (sd-daemon(3)) for time and level. */
void log_record_stream(const struct log_record *record, struct strbuf *line);

/* A JSON object and a line feed; numbers are numbers. */
void log_record_json(const struct log_record *record, struct strbuf *line);

/* The same for a stream that the journal reads, which takes the `<N>` off. */
void log_record_json_stream(const struct log_record *record, struct strbuf *line);

/* A datagram of the journal's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). */
void log_record_journal(const struct log_record *record, struct strbuf *datagram);

#endif
