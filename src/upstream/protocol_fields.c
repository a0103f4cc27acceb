/*
 * protocol_fields: see protocol_fields.h.
 */
#include "upstream/protocol_fields.h"

#include "base/instance.h"
#include "base/utf8.h"
#include "config/credential.h"
#include "upstream/retry_after.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Shorter numbers are parts of solutions; what is secret is longer. */
#define SECRET_NUMBER_CHARS_MIN 8
#define NUMBER_CHARS            "-+.0123456789eE"
#define NAME_BYTES_MAX          32 /* longer names and words are not among those that are known */
#define MEMBERS_BYTES_MAX       ((size_t)UPSTREAM_ANSWER_BYTES_MAX * 2)

static const char *const result_names[PROTOCOL_RESULTS] = {"solution", "answer", "answers"};

static bool is_string(struct json_span raw)
{
        return raw.ptr[0] == '"';
}

static bool is_number(struct json_span raw)
{
        return raw.ptr[0] == '-' || (raw.ptr[0] >= '0' && raw.ptr[0] <= '9');
}

/* What is between the quotes of a string; another value as it is. */
static struct json_span content(struct json_span raw)
{
        return is_string(raw) ? (struct json_span){raw.ptr + 1, raw.len - 2} : raw;
}

/* Decodes a string without its quotes into a buffer that the caller has initialized. Returns
 * whether it fits. */
static bool decode(struct protocol_fields *fields, struct json_span string, struct strbuf *ret)
{
        int r = json_string_decode(string, ret);

        if (r == -ENOMEM)
                fields->no_memory = true;
        return r == 0;
}

/* ---- what clients see ---- */

static bool holds_key(const struct protocol_fields *fields, struct json_span text)
{
        return credential_occurs(fields->request->credential, fields->request->other, text.ptr,
                                 text.len);
}

/* Appends a string that does not hold the key, as it came where JSON allows it. */
static void append_as_it_came(struct protocol_fields *fields, struct json_span string)
{
        struct strbuf *members = &fields->members;
        size_t len;

        if (fields->not_utf8 == 0 && fields->controls == 0) {
                (void)strbuf_append(members, string.ptr - 1, string.len + 2);
                return;
        }
        (void)strbuf_puts(members, "\"");
        while (string.len > 0 && !members->failed) {
                const char *character = utf8_take(&string.ptr, &string.len, &len);
                if ((unsigned char)*character < 0x20)
                        (void)strbuf_printf(members, "\\u%04x", (unsigned)*character);
                else
                        (void)strbuf_append(members, character, len);
        }
        (void)strbuf_puts(members, "\"");
}

/* Appends a string, given without its quotes; redacted if it holds the key. */
static void append_string(struct protocol_fields *fields, struct json_span string)
{
        const struct protocol_request *request = fields->request;
        struct strbuf text;

        if (!memchr(string.ptr, '\\', string.len) && !holds_key(fields, string)) {
                append_as_it_came(fields, string);
                return;
        }
        strbuf_init(&text, string.len + 1);
        if (!decode(fields, string, &text))
                fields->members.failed = true; /* not searched, so not given out */
        else if (credential_redact(request->credential, request->other, text.data, text.len) > 0)
                (void)strbuf_append_json_string(&fields->members, text.data, text.len);
        else
                append_as_it_came(fields, string);
        strbuf_done(&text);
}

/*
 * Appends a number as it came. One that is the whole key, and long enough to be nothing else,
 * becomes a string of asterisks.
 */
static void append_number(struct protocol_fields *fields, struct json_span number)
{
        const struct protocol_request *request = fields->request;
        char text[CREDENTIAL_VALUE_BYTES_MAX];

        if (number.len >= SECRET_NUMBER_CHARS_MIN && number.len < sizeof text &&
            holds_key(fields, number)) {
                memcpy(text, number.ptr, number.len);
                text[number.len] = '\0';
                (void)credential_redact(request->credential, request->other, text, number.len);
                if (strspn(text + (text[0] == '-'), "*") == number.len - (text[0] == '-')) {
                        (void)strbuf_append_json_string(&fields->members, text, number.len);
                        return;
                }
        }
        (void)strbuf_append(&fields->members, number.ptr, number.len);
}

/* Appends what is between strings and numbers; bytes that are not UTF-8 are left out. */
static void append_structure(struct protocol_fields *fields, struct json_span span)
{
        if (fields->not_utf8 == 0) {
                (void)strbuf_append(&fields->members, span.ptr, span.len);
                return;
        }
        for (size_t i = 0; i < span.len; i++) {
                if ((unsigned char)span.ptr[i] < 0x80)
                        (void)strbuf_append(&fields->members, span.ptr + i, 1);
        }
}

/* The length of the value's next token, of the same kind as its first byte. */
static size_t token_length(struct json_span rest)
{
        size_t n = 1;

        if (rest.ptr[0] == '"') {
                while (rest.ptr[n] != '"')
                        n += rest.ptr[n] == '\\' ? 2 : 1;
                return n + 1;
        }
        bool number = is_number(rest);
        while (n < rest.len && rest.ptr[n] != '"' &&
               (number ? rest.ptr[n] && strchr(NUMBER_CHARS, rest.ptr[n])
                       : !is_number((struct json_span){rest.ptr + n, rest.len - n})))
                n++;
        return n;
}

/* Appends a value that the reader has accepted, token by token. */
static void append_redacted(struct protocol_fields *fields, struct json_span raw)
{
        while (raw.len > 0) {
                struct json_span token = {raw.ptr, token_length(raw)};
                if (is_string(token))
                        append_string(fields, content(token));
                else if (is_number(token))
                        append_number(fields, token);
                else
                        append_structure(fields, token);
                raw.ptr += token.len;
                raw.len -= token.len;
        }
}

static void keep_member(struct protocol_fields *fields, struct json_span name, struct json_span raw)
{
        if (fields->members.len > 0)
                (void)strbuf_puts(&fields->members, ",");
        append_string(fields, name);
        (void)strbuf_puts(&fields->members, ":");
        append_redacted(fields, raw);
}

/* ---- what decides ---- */

static enum protocol_status status_of(struct json_span word)
{
        static const struct {
                const char *word;
                enum protocol_status status;
        } known[] = {
                {"solved", STATUS_SOLVED},
                {"skip", STATUS_SKIP},
                {"new", STATUS_PENDING},
                {"in queue", STATUS_PENDING},
                {"queued", STATUS_PENDING},
                {"processing", STATUS_PENDING},
                {"pending", STATUS_PENDING},
                {"error", STATUS_ERROR},
                {"Unauthorized", STATUS_UNAUTHORIZED},
        };

        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
                if (json_span_is(word, known[i].word))
                        return known[i].status;
        }
        return STATUS_OTHER;
}

static enum protocol_code code_of(double code)
{
        static const struct {
                int code;
                enum protocol_code meaning;
        } known[] = {
                {1, CODE_ACCOUNT}, {2, CODE_LATER},    {3, CODE_ACCOUNT},  {10, CODE_FINAL},
                {12, CODE_FINAL},  {14, CODE_ACCOUNT}, {15, CODE_ACCOUNT}, {16, CODE_LATER},
                {17, CODE_LATER},  {18, CODE_LATER},   {21, CODE_LATER},
        };

        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
                if (code == known[i].code)
                        return known[i].meaning;
        }
        return CODE_SILENT;
}

/* Returns whether clients see this one: the first that is a string. A second one is either the same
 * or a contradiction. */
static bool note_status(struct protocol_fields *fields, struct json_span raw)
{
        struct strbuf word;

        if (!is_string(raw)) {
                fields->status_odd = true;
                return fields->request->endpoint == UPSTREAM_BALANCE;
        }
        strbuf_init(&word, NAME_BYTES_MAX);
        enum protocol_status status = STATUS_OTHER;
        if (decode(fields, content(raw), &word))
                status = status_of((struct json_span){word.data ? word.data : "", word.len});
        strbuf_done(&word);
        bool first = fields->status == STATUS_NONE;
        if (!first && status != fields->status)
                fields->status_twice = true;
        fields->status = first ? status : fields->status;
        return first;
}

/* Returns the number, or 0 if text is not a number. */
static double number_of(const char *text)
{
        char *end;

        if (text[0] == '+' || text[strspn(text, NUMBER_CHARS)] != '\0')
                return 0;
        double number = strtod(text, &end); /* the C locale's: nobody sets another */
        return *end == '\0' ? number : 0;
}

/* A number, also as a string: the upstream's languages do not keep them apart. */
static void set_code(struct protocol_fields *fields, enum protocol_code code)
{
        if (fields->has_code && code != fields->code)
                fields->code_twice = true;
        fields->has_code = true;
        fields->code = code;
}

static void note_code(struct protocol_fields *fields, struct json_span raw)
{
        struct strbuf text;

        strbuf_init(&text, NAME_BYTES_MAX);
        if (decode(fields, content(raw), &text) && text.len > 0) {
                double code = number_of(text.data);
                if (code != 0)
                        set_code(fields, code_of(code));
                else if (strcmp(text.data, INSTANCE_LOOP_CODE) == 0)
                        set_code(fields, CODE_LOOP);
        }
        strbuf_done(&text);
}

static void note_retry_after(struct protocol_fields *fields, struct json_span raw)
{
        struct strbuf text;

        if (!is_string(raw) && !is_number(raw))
                return;
        strbuf_init(&text, raw.len);
        if (decode(fields, content(raw), &text) && text.len > 0) {
                int64_t wait_ms = retry_after_read(text.data, fields->request->wall_ms);
                if (wait_ms > fields->retry_after_ms)
                        fields->retry_after_ms = wait_ms;
        }
        strbuf_done(&text);
}

/* Notes an id, as text or as a number. Two different ones cannot both be asked for. */
static void note_named_id(struct protocol_fields *fields, struct json_span id)
{
        const char *asked = fields->request->upstream_id;
        struct strbuf text;

        strbuf_init(&text, UPSTREAM_ID_BYTES_MAX);
        bool usable = decode(fields, id, &text) && text.len > 0 && strlen(text.data) == text.len;
        bool same = usable && strcmp(text.data, asked ? asked : fields->id) == 0;
        if (asked && !same)
                fields->foreign = true;
        if (usable && !fields->has_id)
                memcpy(fields->id, text.data, text.len + 1);
        else if (!same)
                fields->id[0] = '\0';
        fields->has_id = true;
        strbuf_done(&text);
}

/* "" and null name nothing. What is neither text nor a number is surely not the id that was asked
 * for. */
static void note_id(struct protocol_fields *fields, struct json_span raw)
{
        if (is_number(raw) || (is_string(raw) && raw.len > 2))
                note_named_id(fields, content(raw));
        else if (!is_string(raw) && raw.ptr[0] != 'n' && fields->request->upstream_id)
                fields->foreign = true;
}

static void note_message(struct protocol_fields *fields, struct json_span raw)
{
        const struct protocol_request *request = fields->request;
        struct strbuf *message = &fields->message;

        if (!is_string(raw) || message->len > 0 || !decode(fields, content(raw), message) ||
            message->len == 0)
                return;
        (void)credential_redact_message(request->credential, request->other, message->data,
                                        message->len);
        message->len = strlen(message->data); /* what follows a NUL would not be shown */
}

/* Whether a value says nothing: null, false, "", [] or {}. */
static bool is_empty(struct json_span raw)
{
        size_t n = 1;

        if (is_string(raw))
                return raw.len == 2;
        if (raw.ptr[0] != '[' && raw.ptr[0] != '{')
                return raw.ptr[0] == 'n' || raw.ptr[0] == 'f';
        while (strchr(" \t\r\n", raw.ptr[n]))
                n++;
        return n == raw.len - 1;
}

static void note_result(struct protocol_fields *fields, size_t index, struct json_span raw,
                        bool damaged)
{
        struct json_span *known = &fields->results[index];

        if (known->ptr && (known->len != raw.len || memcmp(known->ptr, raw.ptr, raw.len) != 0))
                fields->result_spoiled = true; /* parsers differ in which one they take */
        *known = raw;
        fields->result = fields->result || !is_empty(raw);
        fields->result_spoiled = fields->result_spoiled || damaged;
}

/* Notes what is known by its decoded name. Returns whether clients see the member. */
static bool note_member(struct protocol_fields *fields, struct json_span name, struct json_span raw,
                        bool damaged)
{
        /* A balance is given as it came; a job has an id and a url of ours. */
        bool ours = fields->request->endpoint != UPSTREAM_BALANCE;

        if (json_span_is(name, "status"))
                return note_status(fields, raw);
        for (size_t i = 0; i < PROTOCOL_RESULTS; i++) {
                if (json_span_is(name, result_names[i]))
                        note_result(fields, i, raw, damaged);
        }
        if (json_span_is(name, "id") && ours)
                note_id(fields, raw);
        else if (json_span_is(name, "message") || json_span_is(name, "msg"))
                note_message(fields, raw);
        else if (json_span_is(name, "code"))
                note_code(fields, raw);
        else if (json_span_is(name, "retryAfterSec"))
                note_retry_after(fields, raw);
        return !ours || !(json_span_is(name, "id") || json_span_is(name, "url"));
}

static void read_member(struct protocol_fields *fields, struct json_span name, struct json_span raw,
                        bool damaged)
{
        struct strbuf decoded;
        struct json_span known = name;

        strbuf_init(&decoded, NAME_BYTES_MAX);
        if (memchr(name.ptr, '\\', name.len))
                known = decode(fields, name, &decoded)
                                ? (struct json_span){decoded.data, decoded.len}
                                : (struct json_span){"", 0};
        if (note_member(fields, known, raw, damaged))
                keep_member(fields, name, raw);
        strbuf_done(&decoded);
}

/* ---- the text as a whole ---- */

static void read_members(struct protocol_fields *fields, struct json_reader *reader)
{
        struct json_span name, raw;
        enum json_type type;
        int r;

        if (json_reader_enter_object(reader) < 0)
                return;
        while ((r = json_reader_next_member(reader, &name)) > 0) {
                if (json_reader_peek(reader, &type) < 0)
                        return;
                size_t before = reader->not_utf8;
                if (json_reader_skip(reader, &raw) < 0)
                        return;
                fields->not_utf8 = reader->not_utf8;
                fields->controls = reader->controls;
                read_member(fields, name, raw, reader->not_utf8 > before);
        }
        fields->object = r == 0 && json_reader_end(reader) == 0;
        fields->not_utf8 = reader->not_utf8;
}

/* Takes off what some senders put around: a byte order mark, and the end of a C string. */
static struct json_span unwrap(const char *text, size_t len)
{
        size_t mark = utf8_bom(text, len);

        text += mark;
        len -= mark;
        while (len > 0 && (text[len - 1] == '\0' || strchr(" \t\r\n", text[len - 1])))
                len--;
        return (struct json_span){text, len};
}

void protocol_fields_read(const struct protocol_request *request, const char *text, size_t len,
                          struct protocol_fields *ret_fields)
{
        struct json_span json = unwrap(text, len);
        struct json_reader reader;

        *ret_fields = (struct protocol_fields){.request = request};
        strbuf_init(&ret_fields->message, UPSTREAM_ANSWER_BYTES_MAX);
        strbuf_init(&ret_fields->members, MEMBERS_BYTES_MAX);
        json_reader_init_lenient(&reader, json.ptr, json.len);
        read_members(ret_fields, &reader);
}

void protocol_fields_done(struct protocol_fields *fields)
{
        strbuf_done(&fields->message);
        strbuf_done(&fields->members);
}
