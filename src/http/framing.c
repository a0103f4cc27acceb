/*
 * framing: see framing.h. There is a function for each state, which takes as many bytes as belong
 * to it, at least one, or finds a fault. They are those of RFC 9112 without what section 2.2 and
 * others allow a lenient recipient: lines end with CR LF, and a space is one space.
 */
#include "http/framing.h"

#include "base/hex.h"
#include "http/framing_fault.h"
#include "http/framing_field.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define METHOD_BYTES_MAX 32
#define VERSION_BYTES    8  /* HTTP/1.1 */
#define RECORD_BYTES     64 /* what libmicrohttpd keeps for each field, argument and cookie */

/* 10^18 - 1 is the largest length; a chunk's size is less than 2^60. */
#define LENGTH_DIGITS_MAX     18
#define CHUNK_SIZE_DIGITS_MAX 15

static bool has(const struct framing *framing, enum framing_field field)
{
        return framing->seen & 1U << field;
}

/* ---- characters ---- */

/* A bit for each character of a token (RFC 9110, 5.6.2): letters, digits and !#$%&'*+-.^_`|~ */
static const uint64_t token_bits[2] = {UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)};

static bool is_token(unsigned char byte)
{
        return byte < 0x80 && (token_bits[byte >> 6] >> (byte & 63) & 1);
}

/* RFC 9110, 5.5: visible characters, spaces, tabs, and obs-text. */
static bool is_value(unsigned char byte)
{
        return (byte >= ' ' && byte != 0x7f) || byte == '\t';
}

static bool is_space(unsigned char byte)
{
        return byte == ' ' || byte == '\t';
}

/* ---- the end of a message and of its header ---- */

static size_t fail(struct framing *framing, const struct framing_fault *fault)
{
        framing->fault = fault;
        return 0;
}

static size_t go_on(struct framing *framing, enum framing_state state, size_t taken)
{
        framing->state = state;
        return taken;
}

static void end_message(struct framing *framing)
{
        const uint64_t headers = framing->headers, ended = framing->ended;

        framing_init(framing);
        framing->headers = headers;
        framing->ended = ended + 1;
}

/* libmicrohttpd copies the first Cookie field and splits the copy. */
static size_t memory_needed(const struct framing *framing)
{
        return framing->header_bytes + framing->cookie_bytes +
               RECORD_BYTES *
                       ((size_t)framing->fields + framing->cookies + framing->target.arguments);
}

/*
 * Without a field, libmicrohttpd 1.0.1 takes the end of the last argument's value for the end of
 * the header. An argument without "=" has no value, and if little of the buffer is left then, the
 * process crashes.
 */
static bool is_too_long_alone(const struct framing *framing)
{
        return framing->fields == 0 && framing->target.arguments > 0 &&
               framing->header_bytes > FRAMING_BARE_BYTES_MAX;
}

static size_t end_header(struct framing *framing)
{
        if (!has(framing, FIELD_HOST) && !framing->http_1_0)
                return fail(framing, &bad_no_host);
        if (has(framing, FIELD_CONTENT_LENGTH) && framing->chunked)
                return fail(framing, &bad_both);
        if (framing->chunked && framing->http_1_0)
                return fail(framing, &bad_coding_1_0);
        if (is_too_long_alone(framing))
                return fail(framing, &target_too_long_alone);
        framing->headers++;
        framing->header_bytes = 0;
        framing->fields = 0;
        framing->digits = 0;
        if (framing->chunked)
                return go_on(framing, FRAMING_CHUNK_SIZE, 1);
        if (framing->length > 0)
                return go_on(framing, FRAMING_BODY, 1);
        end_message(framing);
        return 1;
}

/* ---- the request line ---- */

static size_t take_start(struct framing *framing, const unsigned char *bytes, size_t len)
{
        (void)len;
        if (bytes[0] == '\r')
                return go_on(framing, FRAMING_START_LF, 1);
        if (!is_token(bytes[0]))
                return fail(framing, bytes[0] == '\n' ? &bad_line_end : &bad_method);
        framing->name_len = 1;
        return go_on(framing, FRAMING_METHOD, 1);
}

static size_t take_method(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && is_token(bytes[i]))
                i++;
        framing->name_len += i;
        if (framing->name_len > METHOD_BYTES_MAX)
                return fail(framing, &bad_method);
        if (i == len)
                return i;
        if (bytes[i] != ' ')
                return fail(framing, &bad_method);
        target_init(&framing->target);
        return go_on(framing, FRAMING_TARGET, i + 1);
}

static size_t fail_target(struct framing *framing, enum target_problem problem)
{
        switch (problem) {
        case TARGET_CONTROL:
                return fail(framing, &bad_target_control);
        case TARGET_NOT_UTF8:
                return fail(framing, &bad_target_utf8);
        case TARGET_ENCODING:
                return fail(framing, &bad_target_encoding);
        case TARGET_FORM:
        case TARGET_OK:
                break;
        }
        return fail(framing, &bad_target_form);
}

/* HTTP/2 begins with "PRI * HTTP/2.0", so "*" is refused when the version is known. */
static bool is_asterisk(const struct target *target)
{
        return target->start_len == 1 && target->start[0] == '*';
}

static size_t take_target(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i;
        enum target_problem problem = target_feed(&framing->target, bytes, len, &i);

        if (problem == TARGET_CONTROL && (bytes[i - 1] == '\r' || bytes[i - 1] == '\n'))
                return fail(framing, &bad_version);
        if (problem == TARGET_OK && i < len && !is_asterisk(&framing->target))
                problem = target_end(&framing->target);
        if (problem != TARGET_OK)
                return fail_target(framing, problem);
        if (framing->target.arguments > FRAMING_ARGUMENTS_MAX)
                return fail(framing, &target_too_long);
        if (i == len)
                return i;
        framing->value_len = 0;
        return go_on(framing, FRAMING_VERSION, i + 1);
}

static bool is_version(size_t place, unsigned char byte)
{
        static const char form[VERSION_BYTES] = {'H', 'T', 'T', 'P', '/', '0', '.', '0'};

        return form[place] == '0' ? byte >= '0' && byte <= '9' : byte == (unsigned char)form[place];
}

static size_t end_version(struct framing *framing, size_t taken)
{
        if (framing->value[5] != '1')
                return fail(framing, &version_unsupported);
        if (is_asterisk(&framing->target))
                return fail(framing, &bad_target_form);
        framing->http_1_0 = framing->value[7] == '0';
        return go_on(framing, FRAMING_LINE_LF, taken);
}

/* Byte by byte: libmicrohttpd would take an LF in it for the end of the line. */
static size_t take_version(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && framing->value_len < VERSION_BYTES) {
                if (!is_version(framing->value_len, bytes[i]))
                        return fail(framing, &bad_version);
                framing->value[framing->value_len++] = (char)bytes[i++];
        }
        if (i == len)
                return i;
        if (bytes[i] != '\r')
                return fail(framing, bytes[i] == '\n' ? &bad_line_end : &bad_version);
        return end_version(framing, i + 1);
}

/* ---- field lines ---- */

static size_t take_field(struct framing *framing, const unsigned char *bytes, size_t len)
{
        (void)len;
        if (bytes[0] == '\r')
                return go_on(framing, FRAMING_FIELDS_LF, 1);
        if (bytes[0] == ' ' || bytes[0] == '\t')
                return fail(framing, &bad_fold);
        if (!is_token(bytes[0]))
                return fail(framing, bytes[0] == '\n' ? &bad_line_end : &bad_name);
        if (++framing->fields > (framing->in_trailer ? FRAMING_TRAILERS_MAX : FRAMING_FIELDS_MAX))
                return fail(framing, framing->in_trailer ? &bad_trailer : &header_too_large);
        framing->name_len = 0;
        framing->value_len = 0;
        framing->state = FRAMING_NAME;
        return 0; /* the byte is the name's first */
}

static size_t end_name(struct framing *framing, size_t taken)
{
        enum framing_field field = framing_field_find(framing->name, framing->name_len);
        const struct framing_fault *twice = framing_field_twice(field);

        if (framing->in_trailer && field != FIELD_OTHER)
                return fail(framing, &bad_trailer);
        if (has(framing, field) && twice)
                return fail(framing, twice);
        framing->field = field;
        framing->seen |= 1U << field;
        framing->cookies += field == FIELD_COOKIE;
        return go_on(framing, FRAMING_BEFORE_VALUE, taken);
}

/* As much of a name or value as is looked at; it may come in pieces. */
static void keep(char *kept, size_t size, size_t len, const unsigned char *bytes, size_t count)
{
        if (len < size)
                memcpy(kept + len, bytes, count < size - len ? count : size - len);
}

static size_t take_name(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && is_token(bytes[i]))
                i++;
        keep(framing->name, sizeof framing->name, framing->name_len, bytes, i);
        framing->name_len += i;
        if (i == len)
                return i;
        return bytes[i] == ':' ? end_name(framing, i + 1) : fail(framing, &bad_name);
}

static size_t take_before_value(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && is_space(bytes[i]))
                i++;
        if (i < len)
                framing->state = FRAMING_VALUE;
        return i;
}

static size_t end_length(struct framing *framing)
{
        if (framing->value_len == 0)
                return fail(framing, &bad_length);
        for (size_t i = 0; i < framing->value_len && i < FRAMING_VALUE_BYTES; i++) {
                if (framing->value[i] < '0' || framing->value[i] > '9')
                        return fail(framing, &bad_length);
        }
        if (framing->value_len > LENGTH_DIGITS_MAX)
                return fail(framing, &length_too_large);
        framing->length = 0;
        for (size_t i = 0; i < framing->value_len; i++)
                framing->length = framing->length * 10 + (uint64_t)(framing->value[i] - '0');
        return 1;
}

static size_t end_coding(struct framing *framing)
{
        static const char chunked[] = "chunked";

        if (framing->value_len != strlen(chunked) ||
            strncasecmp(framing->value, chunked, strlen(chunked)) != 0)
                return fail(framing, &bad_coding);
        framing->chunked = true;
        return 1;
}

static size_t end_value(struct framing *framing)
{
        if (framing->field == FIELD_CONTENT_LENGTH)
                return end_length(framing);
        if (framing->field == FIELD_TRANSFER_ENCODING)
                return end_coding(framing);
        return 1;
}

static void count_cookies(struct framing *framing, const unsigned char *bytes, size_t len)
{
        framing->cookie_bytes += len;
        for (size_t i = 0; i < len; i++)
                framing->cookies += bytes[i] == ';' || bytes[i] == ',';
}

static void note_value(struct framing *framing, const unsigned char *bytes, size_t len)
{
        keep(framing->value, sizeof framing->value, framing->value_len, bytes, len);
        framing->value_len += len;
        if (framing->field == FIELD_COOKIE)
                count_cookies(framing, bytes, len);
}

static size_t take_spaces(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && is_space(bytes[i]))
                i++;
        note_value(framing, bytes, i);
        framing->spaces += i;
        return i;
}

static size_t take_value(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        if (is_space(bytes[0]))
                return take_spaces(framing, bytes, len);
        while (i < len && is_value(bytes[i]) && !is_space(bytes[i]))
                i++;
        note_value(framing, bytes, i);
        if (i == len || is_space(bytes[i]))
                return i;
        if (bytes[i] != '\r')
                return fail(framing, bytes[i] == '\n' ? &bad_line_end : &bad_value);
        return end_value(framing) > 0 ? go_on(framing, FRAMING_VALUE_LF, i + 1) : 0;
}

/* ---- the body ---- */

static size_t take_body(struct framing *framing, const unsigned char *bytes, size_t len)
{
        (void)bytes;
        size_t taken = framing->length < len ? (size_t)framing->length : len;

        framing->length -= taken;
        if (framing->length == 0)
                end_message(framing);
        return taken;
}

static size_t take_chunk_size(struct framing *framing, const unsigned char *bytes, size_t len)
{
        int digit = hex_digit((char)bytes[0]);

        (void)len;
        if (digit >= 0 && framing->digits < CHUNK_SIZE_DIGITS_MAX) {
                framing->length = (framing->digits++ ? framing->length << 4 : 0) | (unsigned)digit;
                return 1;
        }
        if (framing->digits == 0 || digit >= 0)
                return fail(framing, &bad_chunk);
        framing->value_len = 0;
        framing->state = FRAMING_CHUNK_EXTENSION;
        /* Whatever follows the size begins with ";". */
        return bytes[0] == ';' || bytes[0] == '\r' ? 0 : fail(framing, &bad_chunk);
}

static size_t take_chunk_extension(struct framing *framing, const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && is_value(bytes[i]))
                i++;
        framing->value_len += i;
        if (framing->value_len > FRAMING_EXTENSION_MAX || (i < len && bytes[i] != '\r'))
                return fail(framing, &bad_chunk);
        return i < len ? go_on(framing, FRAMING_CHUNK_SIZE_LF, i + 1) : i;
}

static size_t take_chunk_data(struct framing *framing, const unsigned char *bytes, size_t len)
{
        (void)bytes;
        size_t taken = framing->length < len ? (size_t)framing->length : len;

        framing->length -= taken;
        if (framing->length == 0)
                framing->state = FRAMING_CHUNK_CR;
        return taken;
}

static size_t take_chunk_cr(struct framing *framing, const unsigned char *bytes, size_t len)
{
        (void)len;
        return bytes[0] == '\r' ? go_on(framing, FRAMING_CHUNK_LF, 1) : fail(framing, &bad_chunk);
}

/* ---- line ends ---- */

static size_t end_chunk_size(struct framing *framing)
{
        framing->digits = 0;
        framing->in_trailer = framing->length == 0;
        return go_on(framing, framing->in_trailer ? FRAMING_FIELD : FRAMING_CHUNK_DATA, 1);
}

static size_t end_fields(struct framing *framing)
{
        if (!framing->in_trailer)
                return end_header(framing);
        end_message(framing);
        return 1;
}

static size_t take_lf(struct framing *framing, const unsigned char *bytes, size_t len)
{
        (void)len;
        if (bytes[0] != '\n')
                return fail(framing, &bad_line_end);
        switch (framing->state) {
        case FRAMING_START_LF:
                return go_on(framing, FRAMING_START, 1);
        case FRAMING_LINE_LF:
        case FRAMING_VALUE_LF:
                return go_on(framing, FRAMING_FIELD, 1);
        case FRAMING_FIELDS_LF:
                return end_fields(framing);
        case FRAMING_CHUNK_SIZE_LF:
                return end_chunk_size(framing);
        case FRAMING_CHUNK_LF:
                return go_on(framing, FRAMING_CHUNK_SIZE, 1);
        case FRAMING_START:
        case FRAMING_METHOD:
        case FRAMING_TARGET:
        case FRAMING_VERSION:
        case FRAMING_FIELD:
        case FRAMING_NAME:
        case FRAMING_BEFORE_VALUE:
        case FRAMING_VALUE:
        case FRAMING_BODY:
        case FRAMING_CHUNK_SIZE:
        case FRAMING_CHUNK_EXTENSION:
        case FRAMING_CHUNK_DATA:
        case FRAMING_CHUNK_CR:
                break;
        }
        assert(false);
        return 0;
}

/* ---- all together ---- */

static const struct {
        /* Returns how many bytes belong to the state; 0 with a fault, or with another state. */
        size_t (*take)(struct framing *framing, const unsigned char *bytes, size_t len);
        bool counted; /* as part of a header or a trailer, which have a limit */
} states[] = {
        [FRAMING_START] = {take_start, true},
        [FRAMING_START_LF] = {take_lf, true},
        [FRAMING_METHOD] = {take_method, true},
        [FRAMING_TARGET] = {take_target, true},
        [FRAMING_VERSION] = {take_version, true},
        [FRAMING_LINE_LF] = {take_lf, true},
        [FRAMING_FIELD] = {take_field, true},
        [FRAMING_NAME] = {take_name, true},
        [FRAMING_BEFORE_VALUE] = {take_before_value, true},
        [FRAMING_VALUE] = {take_value, true},
        [FRAMING_VALUE_LF] = {take_lf, true},
        [FRAMING_FIELDS_LF] = {take_lf, false},
        [FRAMING_BODY] = {take_body, false},
        [FRAMING_CHUNK_SIZE] = {take_chunk_size, false},
        [FRAMING_CHUNK_EXTENSION] = {take_chunk_extension, false},
        [FRAMING_CHUNK_SIZE_LF] = {take_lf, false},
        [FRAMING_CHUNK_DATA] = {take_chunk_data, false},
        [FRAMING_CHUNK_CR] = {take_chunk_cr, false},
        [FRAMING_CHUNK_LF] = {take_lf, false},
};

/* The size of what is counted so far. */
static void check_size(struct framing *framing)
{
        if (framing->in_trailer) {
                if (framing->header_bytes > FRAMING_TRAILER_BYTES_MAX)
                        framing->fault = &bad_trailer;
                return;
        }
        if (framing->header_bytes > FRAMING_HEADER_BYTES_MAX ||
            memory_needed(framing) > FRAMING_MEMORY_BYTES_MAX)
                framing->fault =
                        framing->state <= FRAMING_VERSION ? &target_too_long : &header_too_large;
}

void framing_init(struct framing *framing)
{
        *framing = (struct framing){.state = FRAMING_START};
}

/*
 * How many of the bytes that were taken in a state are passed on: not those that a recipient has to
 * ignore, and that libmicrohttpd is not good at. 1.0.1 loses its place in a chunk's extension (RFC
 * 9112, 7.1.1), and ends the connection after some blank lines before a request line (2.2); 0.9.75
 * takes white space at the end of a value for a part of it (5.1).
 */
static size_t kept_of(enum framing_state state, const unsigned char *bytes, size_t taken)
{
        if (state == FRAMING_START_LF || (state == FRAMING_START && bytes[0] == '\r') ||
            (state == FRAMING_VALUE && is_space(bytes[0])))
                return 0;
        if (state != FRAMING_CHUNK_EXTENSION)
                return taken;
        return taken > 0 && bytes[taken - 1] == '\r';
}

void framing_release(struct framing *framing, void *bytes, size_t size)
{
        assert(size <= framing->spaces);
        memset(bytes, ' ', size);
        framing->spaces -= size;
}

/* Puts the white space back that was in the middle of a value. Returns how much. */
static size_t end_spaces(struct framing *framing, enum framing_state state,
                         const unsigned char *next, unsigned char *out)
{
        size_t count = framing->spaces;

        if (state != FRAMING_VALUE || is_space(*next))
                return 0;
        if (*next != '\r')
                framing_release(framing, out, count);
        framing->spaces = 0;
        return *next != '\r' ? count : 0;
}

size_t framing_feed(struct framing *framing, void *bytes, size_t len)
{
        unsigned char *out = bytes, *complete = bytes;
        unsigned char *next = out + framing->spaces, *end = next + len;

        assert(!framing->fault);
        while (next < end && !framing->fault) {
                const uint64_t ended = framing->ended;
                const enum framing_state state = framing->state;

                out += end_spaces(framing, state, next, out);
                size_t taken = states[state].take(framing, next, (size_t)(end - next));
                size_t kept = kept_of(state, next, taken);
                next += taken;
                if (out + kept != next)
                        memmove(out, next - kept, kept);
                out += kept;
                if (framing->ended != ended)
                        complete = out;
                if (states[state].counted && !framing->fault) {
                        framing->header_bytes += taken;
                        check_size(framing);
                }
        }
        return (size_t)((framing->fault ? complete : out) - (unsigned char *)bytes);
}

bool framing_in_message(const struct framing *framing)
{
        return framing->state > FRAMING_START_LF;
}

bool framing_in_header(const struct framing *framing)
{
        return framing_in_message(framing) && framing->state < FRAMING_BODY;
}
