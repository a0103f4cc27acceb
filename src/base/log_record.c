/*
 * log_record: see log_record.h.
 */
#include "base/log_record.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_CHARS 32

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */

/* Whether it stands behind what a reader of name=value would take for a name: a word without
 * capitals. So what a message says of systemd's directives stays as it is. */
static bool is_forged(const unsigned char *text, const unsigned char *next)
{
        const unsigned char *word = next;

        if (*next != '=')
                return false;
        while (word > text && word[-1] > ' ' && word[-1] < 0x7f) {
                word--;
                if (*word >= 'A' && *word <= 'Z')
                        return false;
        }
        return word < next;
}

enum place {
        PLACE_WHOLE,   /* the format has bounds of its own for it */
        PLACE_MESSAGE, /* fields follow */
        PLACE_QUOTES,
};

/*
 * Appends text; what is hidden, and bytes that are no UTF-8, as \xNN: in a message what looks like
 * the beginning of a field, too. In quotes '"' and '\' get a backslash in front.
 */
static void append_visible(struct strbuf *line, const char *text, enum place place)
{
        const unsigned char *start = (const unsigned char *)text, *next = start,
                            *end = next + strlen(text);

        while (next < end) {
                size_t len = utf8_sequence(next, (size_t)(end - next));
                if (len == 0 || utf8_hidden(utf8_decode(next, len)) ||
                    (place == PLACE_MESSAGE && is_forged(start, next))) {
                        len += len == 0;
                        for (size_t i = 0; i < len; i++)
                                (void)strbuf_printf(line, "\\x%02x", next[i]);
                } else {
                        if (place == PLACE_QUOTES && (*next == '"' || *next == '\\'))
                                (void)strbuf_puts(line, "\\");
                        (void)strbuf_append(line, next, len);
                }
                next += len;
        }
}

/* Nothing but printable ASCII in which a reader of NAME=VALUE finds no mark of his own. */
static bool is_bare(const char *text)
{
        if (!*text)
                return false;
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;
                if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
                        return false;
        }
        return true;
}

static void take_message(const struct log_record *record, char ret[static LOG_MESSAGE_BYTES_MAX])
{
        (void)snprintf(ret, LOG_MESSAGE_BYTES_MAX, "%s", record->message);
        utf8_end_cut(ret, LOG_MESSAGE_BYTES_MAX);
        secret_mask(ret);
}

/* Writes what a field says. Returns false where it says nothing. */
static bool take_value(const struct log_field *field, char ret[static LOG_VALUE_BYTES_MAX])
{
        switch (field->type) {
        case LOG_FIELD_TEXT:
                if (!field->text)
                        return false;
                (void)snprintf(ret, LOG_VALUE_BYTES_MAX, "%s", field->text);
                utf8_end_cut(ret, LOG_VALUE_BYTES_MAX);
                secret_mask(ret);
                break;
        case LOG_FIELD_INTEGER:
                (void)snprintf(ret, NUMBER_CHARS, "%" PRId64, field->number);
                break;
        case LOG_FIELD_MS:
                (void)snprintf(ret, NUMBER_CHARS, "%" PRId64 ".%03d", field->number / 1000,
                               (int)(field->number % 1000));
                break;
        }
        return true;
}

/* What follows time and level. */
static void append_text(const struct log_record *record, struct strbuf *line)
{
        char message[LOG_MESSAGE_BYTES_MAX], value[LOG_VALUE_BYTES_MAX];

        take_message(record, message);
        append_visible(line, message, PLACE_MESSAGE);
        for (size_t i = 0; i < record->count; i++) {
                if (!take_value(&record->fields[i], value))
                        continue;
                const char *quote = is_bare(value) ? "" : "\"";
                (void)strbuf_printf(line, " %s=%s", record->fields[i].name, quote);
                append_visible(line, value, PLACE_QUOTES);
                (void)strbuf_puts(line, quote);
        }
        (void)strbuf_puts(line, "\n");
}

void log_record_text(const struct log_record *record, struct strbuf *line)
{
        char time[CLOCK_TEXT_BYTES];

        clock_write(record->wall_ms, time);
        (void)strbuf_printf(line, "%s %s ", time, level_names[record->level]);
        append_text(record, line);
}

static void append_priority(const struct log_record *record, struct strbuf *line)
{
        (void)strbuf_printf(line, "<%d>", priorities[record->level]);
}

void log_record_stream(const struct log_record *record, struct strbuf *line)
{
        append_priority(record, line);
        append_text(record, line);
}

static void append_json_text(struct strbuf *line, const char *text)
{
        struct strbuf visible;

        strbuf_init(&visible, LOG_LINE_BYTES_MAX);
        append_visible(&visible, text, PLACE_WHOLE);
        (void)strbuf_append_json_string(line, visible.len > 0 ? visible.data : "", visible.len);
        line->failed = line->failed || visible.failed;
        strbuf_done(&visible);
}

void log_record_json(const struct log_record *record, struct strbuf *line)
{
        char message[LOG_MESSAGE_BYTES_MAX], value[LOG_VALUE_BYTES_MAX], time[CLOCK_TEXT_BYTES];

        clock_write(record->wall_ms, time);
        take_message(record, message);
        (void)strbuf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time,
                            level_names[record->level]);
        append_json_text(line, message);
        for (size_t i = 0; i < record->count; i++) {
                const struct log_field *field = &record->fields[i];
                if (!take_value(field, value))
                        continue;
                (void)strbuf_printf(line, ",\"%s\":", field->name);
                if (field->type == LOG_FIELD_TEXT)
                        append_json_text(line, value);
                else
                        (void)strbuf_puts(line, value);
        }
        (void)strbuf_puts(line, "}\n");
}

void log_record_json_stream(const struct log_record *record, struct strbuf *line)
{
        append_priority(record, line);
        log_record_json(record, line);
}

/* Nothing visible has a line feed, so no value needs the binary form of the protocol. */
static void append_journal_name(struct strbuf *datagram, const char *name)
{
        char upper[LOG_VALUE_BYTES_MAX];
        size_t len = 0;

        for (; name[len] && len < sizeof upper - 1; len++)
                upper[len] = name[len] >= 'a' && name[len] <= 'z' ? (char)(name[len] - 'a' + 'A')
                                                                  : name[len];
        upper[len] = '\0';
        (void)strbuf_printf(datagram, "SOLVEGATE_%s=", upper);
}

/* The message says all, for who reads it without the fields, as journalctl(1) shows it. */
void log_record_journal(const struct log_record *record, struct strbuf *datagram)
{
        char value[LOG_VALUE_BYTES_MAX];

        (void)strbuf_printf(datagram, "PRIORITY=%d\nSYSLOG_IDENTIFIER=solvegate\nMESSAGE=",
                            priorities[record->level]);
        append_text(record, datagram);
        for (size_t i = 0; i < record->count; i++) {
                if (!take_value(&record->fields[i], value))
                        continue;
                append_journal_name(datagram, record->fields[i].name);
                append_visible(datagram, value, PLACE_WHOLE);
                (void)strbuf_puts(datagram, "\n");
        }
}
