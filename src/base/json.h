/*
 * json: a strict pull reader for RFC 8259 text in UTF-8.
 *
 * json-c 0.16 takes text that is no JSON (single quotes, NaN, -01, raw control characters) and
 * keeps the last of two equal names, so what other people's text means is decided here. The
 * reader copies nothing: it hands out spans of the text, which stay valid as long as the text.
 *
 * It refuses: a byte order mark, bytes that are no UTF-8 (overlong forms and surrogates
 * included), nesting deeper than JSON_DEPTH_MAX, anything behind the value. It accepts an escaped
 * lone surrogate, as RFC 8259 section 8.2 lets it.
 *
 * A lenient reader is for responses that were paid for. It passes two things that a sender writes
 * by mistake and that leave the structure clear: bytes that are not UTF-8, in strings and between
 * values, and control characters that are not escaped, in strings. It counts both, so that its
 * caller can tell where they are, and write them otherwise.
 *
 * A budget limits how much may be read from a place on: its caller bounds the work that a hostile
 * text makes. The error at its end is no verdict on the text, see json_reader.excess.
 *
 * The first error stays: every later call returns -EBADMSG and reads nothing. Outputs are
 * untouched on failure.
 *
 * Not locked; a reader belongs to one thread.
 */
#ifndef SOLVEGATE_BASE_JSON_H
#define SOLVEGATE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_DEPTH_MAX 64

struct strbuf;

struct json_span {
        const char *ptr; /* not NUL-terminated */
        size_t len;
};

/* Returns whether the span has exactly this text. */
static inline bool json_span_is(struct json_span span, const char *text)
{
        return span.len == strlen(text) && memcmp(span.ptr, text, span.len) == 0;
}

enum json_type {
        JSON_OBJECT,
        JSON_ARRAY,
        JSON_STRING,
        JSON_NUMBER,
        JSON_TRUE,
        JSON_FALSE,
        JSON_NULL,
};

/* How much may be read: elements, members (a name and a value: two), and bytes with white space. */
struct json_budget {
        size_t values;
        size_t bytes;
};

#define JSON_BUDGET_NONE ((struct json_budget){SIZE_MAX, SIZE_MAX}) /* no limit */

enum json_excess {
        JSON_NO_EXCESS,
        JSON_TOO_MANY_VALUES,
        JSON_TOO_MANY_BYTES,
};

struct json_reader {
        const char *start;
        const char *next;        /* the first byte not read */
        const char *end;         /* of what may be read */
        const char *text_end;    /* of the text */
        size_t values_left;      /* of the budget */
        const char *error;       /* what is wrong at next, or NULL; static text */
        enum json_excess excess; /* of which part of the budget the error is the end */
        unsigned depth;          /* how many containers the reader is inside of */
        bool first;              /* the container just entered has given no member yet */
        bool lenient;
        size_t not_utf8; /* lenient: how many bytes were passed that are not UTF-8 */
        size_t controls; /* lenient: how many control characters were passed in strings */
};

/* Starts reading at text; the text must outlive the reader. */
void json_reader_init(struct json_reader *reader, const char *text, size_t len);

/* The same, with a lenient reader. */
void json_reader_init_lenient(struct json_reader *reader, const char *text, size_t len);

/*
 * Limits what is read from here on; replaces the budget before, of which json_reader_budget() tells
 * what is left. A reader starts without a limit. The budget's bytes may end anywhere, also inside
 * a string. Any error within the last JSON_CUT_BYTES bytes before such an end counts as the end: a
 * sequence that looks wrong there may be cut off.
 */
#define JSON_CUT_BYTES 5 /* the longest part of an escape, a literal or a UTF-8 sequence */

void json_reader_set_budget(struct json_reader *reader, struct json_budget budget);
struct json_budget json_reader_budget(const struct json_reader *reader);

/* Tells the type of the value that comes next, without reading it. Returns 0 or -EBADMSG. */
int json_reader_peek(struct json_reader *reader, enum json_type *ret_type);

/*
 * Enter an object or an array, and step through it. The next functions return 1 when a member
 * follows (its value is then to be read by the caller), 0 at the closing bracket (which is then
 * read), or -EBADMSG. *ret_name is the name without quotes, escapes not decoded. One reader may
 * be inside several containers at once, as long as each is left in the order entered.
 */
int json_reader_enter_object(struct json_reader *reader);
int json_reader_next_member(struct json_reader *reader, struct json_span *ret_name);
int json_reader_enter_array(struct json_reader *reader);
int json_reader_next_element(struct json_reader *reader);

/* Reads a string. *ret_text is without quotes, escapes not decoded. Returns 0 or -EBADMSG. */
int json_reader_string(struct json_reader *reader, struct json_span *ret_text);

/*
 * Reads any value and checks all of it, without recursion. *ret_raw is its text, without the white
 * space around it; ret_raw may be NULL. Returns 0 or -EBADMSG.
 */
int json_reader_skip(struct json_reader *reader, struct json_span *ret_raw);

/* Checks that nothing but white space is left. Returns 0 or -EBADMSG. */
int json_reader_end(struct json_reader *reader);

/* The offset in bytes of what reader->error is about; the first byte is 0. */
size_t json_reader_offset(const struct json_reader *reader);

/*
 * Appends the decoded text of a string span that this reader gave out: escapes become UTF-8, an
 * escaped lone surrogate U+FFFD. The result may hold NUL, and the bytes that a lenient reader
 * passed. Returns as strbuf_append().
 */
int json_string_decode(struct json_span text, struct strbuf *ret);

#endif
