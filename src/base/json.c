/*
 * json: see json.h. Every function moves reader->next forward only, so reading is linear.
 */
#include "base/json.h"

#include "base/hex.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))
#define REPLACEMENT      0xfffd /* stands for what is no character, Unicode 15 section 3.9 */

_Static_assert(JSON_DEPTH_MAX == 64, "json_reader_skip() keeps a bit for each; enter() names it");

void json_reader_init(struct json_reader *reader, const char *text, size_t len)
{
        *reader = (struct json_reader){
                .start = text,
                .next = text,
                .end = text + len,
                .text_end = text + len,
                .values_left = SIZE_MAX,
        };
}

void json_reader_init_lenient(struct json_reader *reader, const char *text, size_t len)
{
        json_reader_init(reader, text, len);
        reader->lenient = true;
}

void json_reader_set_budget(struct json_reader *reader, struct json_budget budget)
{
        size_t bytes = (size_t)(reader->text_end - reader->next);

        reader->end = reader->next + (bytes < budget.bytes ? bytes : budget.bytes);
        reader->values_left = budget.values;
}

struct json_budget json_reader_budget(const struct json_reader *reader)
{
        return (struct json_budget){reader->values_left, (size_t)(reader->end - reader->next)};
}

size_t json_reader_offset(const struct json_reader *reader)
{
        return (size_t)(reader->next - reader->start);
}

static int fail(struct json_reader *reader, const char *where, const char *error)
{
        reader->next = where;
        reader->error = error;
        if (reader->end < reader->text_end && reader->end - where <= JSON_CUT_BYTES) {
                reader->error = "more bytes than are taken";
                reader->excess = JSON_TOO_MANY_BYTES;
        }
        return -EBADMSG;
}

/* Takes values out of the budget. */
static int spend(struct json_reader *reader, size_t values)
{
        if (reader->values_left >= values) {
                reader->values_left -= values;
                return 0;
        }
        reader->error = "more values than are taken";
        reader->excess = JSON_TOO_MANY_VALUES;
        return -EBADMSG;
}

static bool is_space(char byte)
{
        return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* Whether a lenient reader passes the byte at next, as it is not UTF-8; then it counts. */
static bool pass_not_utf8(struct json_reader *reader, const char *next)
{
        if (!reader->lenient || (unsigned char)*next < 0x80 ||
            utf8_sequence((const unsigned char *)next, (size_t)(reader->end - next)) > 0)
                return false;
        reader->not_utf8++;
        return true;
}

/* Passes white space. Returns the byte that follows, or -EBADMSG; at_end is the error there. */
static int pass_space(struct json_reader *reader, const char *at_end)
{
        const char *next = reader->next;

        if (reader->error)
                return -EBADMSG;
        while (next < reader->end && (is_space(*next) || pass_not_utf8(reader, next)))
                next++;
        if (next == reader->end)
                return fail(reader, next, at_end);
        reader->next = next;
        return (unsigned char)*next;
}

/* Says what is wrong with a byte that starts no value. */
static const char *value_problem(int byte)
{
        switch (byte) {
        case '\'':
                return "a single quote; a string stands in double quotes";
        case 0xef:
                return "a byte order mark, or another character that starts no value";
        case ',':
        case ']':
        case '}':
                return "a value is missing";
        default:
                return "no value starts with this character";
        }
}

int json_reader_peek(struct json_reader *reader, enum json_type *ret_type)
{
        int byte = pass_space(reader, "the text ends where a value is expected");

        if (byte < 0)
                return byte;
        if (byte == '{')
                *ret_type = JSON_OBJECT;
        else if (byte == '[')
                *ret_type = JSON_ARRAY;
        else if (byte == '"')
                *ret_type = JSON_STRING;
        else if (byte == '-' || (byte >= '0' && byte <= '9'))
                *ret_type = JSON_NUMBER;
        else if (byte == 't')
                *ret_type = JSON_TRUE;
        else if (byte == 'f')
                *ret_type = JSON_FALSE;
        else if (byte == 'n')
                *ret_type = JSON_NULL;
        else
                return fail(reader, reader->next, value_problem(byte));
        return 0;
}

/* Checks that a value of one type comes next. */
static int expect(struct json_reader *reader, enum json_type type, const char *problem)
{
        enum json_type found;
        int r = json_reader_peek(reader, &found);

        if (r < 0)
                return r;
        return found == type ? 0 : fail(reader, reader->next, problem);
}

/*
 * Tells whether all 8 bytes are ASCII that a string may hold as it is. A subtraction leaves the
 * high bit of a byte below the subtrahend set; a borrow can only spoil the verdict on bytes above
 * one that is already found.
 */
static bool eight_plain_bytes(const char *next)
{
        uint64_t bytes;

        memcpy(&bytes, next, sizeof bytes);
        uint64_t control = bytes - EACH_BYTE(0x20);
        uint64_t quote = (bytes ^ EACH_BYTE('"')) - EACH_BYTE(1);
        uint64_t backslash = (bytes ^ EACH_BYTE('\\')) - EACH_BYTE(1);
        return ((bytes | control | quote | backslash) & EACH_BYTE(0x80)) == 0;
}

/* Passes what a string may hold as it is, ASCII only. */
static const char *pass_plain(const char *next, const char *end)
{
        while (end - next >= 8 && eight_plain_bytes(next))
                next += 8;
        while (next < end) {
                unsigned char byte = (unsigned char)*next;
                if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')
                        break;
                next++;
        }
        return next;
}

/* The length of the escape sequence that starts at next, or 0 where none does. */
static size_t escape_length(const char *next, const char *end)
{
        if (end - next < 2)
                return 0;
        if (next[1] != 'u')
                return next[1] != '\0' && strchr("\"\\/bfnrt", next[1]) ? 2 : 0;
        if (end - next < 6)
                return 0;
        for (int i = 2; i < 6; i++) {
                if (hex_digit(next[i]) < 0)
                        return 0;
        }
        return 6;
}

static const char *string_problem(unsigned char byte)
{
        if (byte == '\\')
                return "an unknown escape; write \\\\ for a backslash";
        if (byte < 0x20)
                return "a control character in a string; write \\n or \\u000a";
        return "bytes that are no UTF-8";
}

/* Whether a lenient reader passes a byte that a string must not hold; then it counts. */
static bool pass_stray(struct json_reader *reader, const char *next)
{
        if (reader->lenient && (unsigned char)*next < 0x20) {
                reader->controls++;
                return true;
        }
        return pass_not_utf8(reader, next);
}

/* Reads the string whose opening quote is at reader->next. */
static int read_string(struct json_reader *reader, struct json_span *ret_text)
{
        const char *start = reader->next + 1, *next = start;

        for (;;) {
                next = pass_plain(next, reader->end);
                if (next == reader->end)
                        return fail(reader, next, "the text ends inside a string");
                unsigned char byte = (unsigned char)*next;
                size_t len = 0;
                if (byte == '"')
                        break;
                if (byte == '\\')
                        len = escape_length(next, reader->end);
                else if (byte >= 0x80)
                        len = utf8_sequence((const unsigned char *)next,
                                            (size_t)(reader->end - next));
                if (len == 0 && pass_stray(reader, next))
                        len = 1;
                if (len == 0)
                        return fail(reader, next, string_problem(byte));
                next += len;
        }
        *ret_text = (struct json_span){start, (size_t)(next - start)};
        reader->next = next + 1;
        return 0;
}

int json_reader_string(struct json_reader *reader, struct json_span *ret_text)
{
        int r = expect(reader, JSON_STRING, "a string is expected");

        return r < 0 ? r : read_string(reader, ret_text);
}

/* Passes digits. Tells whether there was one. */
static bool pass_digits(const char **next, const char *end)
{
        const char *start = *next;

        while (*next < end && **next >= '0' && **next <= '9')
                (*next)++;
        return *next > start;
}

/* RFC 8259, section 6. */
static int read_number(struct json_reader *reader)
{
        const char *next = reader->next, *end = reader->end;

        if (*next == '-')
                next++;
        const char *digits = next;
        if (!pass_digits(&next, end))
                return fail(reader, next, "a digit is missing");
        if (*digits == '0' && next - digits > 1)
                return fail(reader, digits, "a number with a leading zero");
        if (next < end && *next == '.') {
                next++;
                if (!pass_digits(&next, end))
                        return fail(reader, next, "a digit is missing behind the point");
        }
        if (next < end && (*next == 'e' || *next == 'E')) {
                next++;
                if (next < end && (*next == '+' || *next == '-'))
                        next++;
                if (!pass_digits(&next, end))
                        return fail(reader, next, "a digit is missing in the exponent");
        }
        reader->next = next;
        return 0;
}

static int read_literal(struct json_reader *reader, const char *literal)
{
        size_t len = strlen(literal);

        if ((size_t)(reader->end - reader->next) < len || memcmp(reader->next, literal, len) != 0)
                return fail(reader, reader->next, "a word that is none of true, false and null");
        reader->next += len;
        return 0;
}

/* Enters the container whose opening bracket is at reader->next. */
static int enter(struct json_reader *reader)
{
        if (reader->depth == JSON_DEPTH_MAX)
                return fail(reader, reader->next, "nested deeper than 64 levels");
        reader->depth++;
        reader->next++;
        reader->first = true;
        return 0;
}

/* Goes on to the next member or element. Returns as json_reader_next_member(). */
static int step(struct json_reader *reader, char closing, const char *unclosed,
                const char *unseparated)
{
        int byte = pass_space(reader, unclosed);

        if (byte < 0)
                return byte;
        if (byte == closing) {
                reader->next++;
                reader->depth--;
                reader->first = false;
                return 0;
        }
        if (reader->first) {
                reader->first = false;
                return 1;
        }
        if (byte != ',')
                return fail(reader, reader->next, unseparated);
        const char *comma = reader->next++;
        byte = pass_space(reader, unclosed);
        if (byte < 0)
                return byte;
        return byte == closing ? fail(reader, comma, "a comma before a closing bracket") : 1;
}

int json_reader_enter_object(struct json_reader *reader)
{
        int r = expect(reader, JSON_OBJECT, "an object is expected");

        return r < 0 ? r : enter(reader);
}

int json_reader_enter_array(struct json_reader *reader)
{
        int r = expect(reader, JSON_ARRAY, "an array is expected");

        return r < 0 ? r : enter(reader);
}

int json_reader_next_member(struct json_reader *reader, struct json_span *ret_name)
{
        struct json_span name;
        int r = step(reader, '}', "the text ends inside an object",
                     "a comma or a closing brace is missing");

        if (r <= 0)
                return r;
        if (*reader->next != '"')
                return fail(reader, reader->next, "a name in double quotes is missing");
        if (spend(reader, 2) < 0)
                return -EBADMSG;
        r = read_string(reader, &name);
        if (r < 0)
                return r;
        int byte = pass_space(reader, "the text ends inside an object");
        if (byte < 0)
                return byte;
        if (byte != ':')
                return fail(reader, reader->next, "a colon is missing");
        reader->next++;
        *ret_name = name;
        return 1;
}

int json_reader_next_element(struct json_reader *reader)
{
        int r = step(reader, ']', "the text ends inside an array",
                     "a comma or a closing bracket is missing");

        return r > 0 && spend(reader, 1) < 0 ? -EBADMSG : r;
}

/* Reads a value without members, or enters a container and notes its kind in *objects. */
static int read_or_enter(struct json_reader *reader, uint64_t *objects)
{
        enum json_type type;
        struct json_span text;
        int r = json_reader_peek(reader, &type);

        if (r < 0)
                return r;
        switch (type) {
        case JSON_OBJECT:
                *objects = *objects << 1 | 1;
                return enter(reader);
        case JSON_ARRAY:
                *objects <<= 1;
                return enter(reader);
        case JSON_STRING:
                return read_string(reader, &text);
        case JSON_NUMBER:
                return read_number(reader);
        case JSON_TRUE:
                return read_literal(reader, "true");
        case JSON_FALSE:
                return read_literal(reader, "false");
        case JSON_NULL:
                return read_literal(reader, "null");
        }
        return -EBADMSG;
}

int json_reader_skip(struct json_reader *reader, struct json_span *ret_raw)
{
        uint64_t objects = 0; /* a bit for each container inside, the lowest for the innermost */
        unsigned outer = reader->depth;
        int follows = 1;
        struct json_span name;

        if (pass_space(reader, "the text ends where a value is expected") < 0)
                return -EBADMSG;
        const char *start = reader->next;
        for (;;) {
                if (follows && read_or_enter(reader, &objects) < 0)
                        return -EBADMSG;
                if (reader->depth == outer)
                        break;
                if (objects & 1)
                        follows = json_reader_next_member(reader, &name);
                else
                        follows = json_reader_next_element(reader);
                if (follows < 0)
                        return follows;
                if (!follows)
                        objects >>= 1;
        }
        if (ret_raw)
                *ret_raw = (struct json_span){start, (size_t)(reader->next - start)};
        return 0;
}

int json_reader_end(struct json_reader *reader)
{
        if (reader->error)
                return -EBADMSG;
        if (pass_space(reader, NULL) < 0) /* at the end, where nothing is wrong */
                return reader->excess ? -EBADMSG : 0;
        return fail(reader, reader->next, "something follows the value");
}

static int append_code_point(struct strbuf *buf, unsigned code)
{
        unsigned char bytes[4];
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

        for (size_t i = len - 1; i > 0; i--) {
                bytes[i] = (unsigned char)(0x80 | (code & 0x3f));
                code >>= 6;
        }
        /* What the first byte starts with tells the length: 0, 110, 1110, 11110. */
        bytes[0] = (unsigned char)(len == 1 ? code : (0xf00u >> len & 0xff) | code);
        return strbuf_append(buf, bytes, len);
}

/* The value of the escape \uXXXX at next, or 0, which is no surrogate, where none is. */
static unsigned escaped_unit(const char *next, const char *end)
{
        unsigned unit = 0;

        if (escape_length(next, end) != 6 || next[0] != '\\')
                return 0;
        for (int i = 2; i < 6; i++)
                unit = unit << 4 | (unsigned)hex_digit(next[i]);
        return unit;
}

/* Appends the character escaped at *next, which may take two \uXXXX, and passes it. */
static int append_escaped(const char **next, const char *end, struct strbuf *buf)
{
        static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
        char letter = (*next)[1];

        if (letter != 'u') {
                const char *found = memchr(letters, letter, sizeof letters - 1);
                *next += 2;
                return strbuf_append(buf, found ? &meanings[found - letters] : &letter, 1);
        }
        unsigned code = escaped_unit(*next, end);
        *next += 6;
        if (code < 0xd800 || code > 0xdfff)
                return append_code_point(buf, code);
        unsigned low = escaped_unit(*next, end);
        if (code > 0xdbff || low < 0xdc00 || low > 0xdfff)
                return append_code_point(buf, REPLACEMENT);
        *next += 6;
        return append_code_point(buf, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
}

int json_string_decode(struct json_span text, struct strbuf *ret)
{
        const char *next = text.ptr, *end = next + text.len;

        for (;;) {
                const char *escape = memchr(next, '\\', (size_t)(end - next));
                const char *run_end = escape ? escape : end;
                int r = strbuf_append(ret, next, (size_t)(run_end - next));
                if (r < 0 || !escape)
                        return r;
                next = escape;
                r = append_escaped(&next, end, ret);
                if (r < 0)
                        return r;
        }
}
