/*
 * Fuzz target: http/framing and http/target, the check of every received byte.
 *
 * The first byte of the input chooses the size of the pieces; the rest is what a connection brings.
 *
 * Rules: the pieces do not matter; what is passed on are whole messages, or all of it; and the
 * verdict is that of a second reader, which takes a message as a whole and splits it into lines, by
 * RFC 9112 and the limits in framing.h. So a byte that libmicrohttpd is given belongs to a message
 * that two readers see alike.
 */
#include "fuzz.h"
#include "http/framing.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 16384

struct text {
        const char *ptr;
        size_t len;
};

/* What a reader makes of the bytes from here on. */
enum found {
        FOUND_MESSAGE,    /* a whole one, which is well-formed */
        FOUND_INCOMPLETE, /* nothing is wrong so far, or it cannot be said yet */
        FOUND_FAULT,
};

struct head {
        bool host, length, chunked, http_1_0;
        unsigned twice; /* a bit for each field that must not be there twice */
        uint64_t body;
};

/* ---- the second reader ---- */

static bool text_is(struct text text, const char *word)
{
        return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

static bool all_of(struct text text, bool (*belongs)(unsigned char byte))
{
        for (size_t i = 0; i < text.len; i++) {
                if (!belongs((unsigned char)text.ptr[i]))
                        return false;
        }
        return true;
}

static bool is_tchar(unsigned char byte)
{
        return byte < 0x80 && (isalnum(byte) || (byte && strchr("!#$%&'*+-.^_`|~", byte)));
}

static bool is_field_byte(unsigned char byte)
{
        return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static bool is_digit(unsigned char byte)
{
        return byte >= '0' && byte <= '9';
}

static bool is_hex(unsigned char byte)
{
        return byte < 0x80 && isxdigit(byte);
}

/* Decodes, and asks whether it is UTF-8 without control characters. */
static bool target_is_sound(struct text target)
{
        static char decoded[LINE_MAX_BYTES];
        size_t len = 0;

        for (size_t i = 0; i < target.len; i++) {
                char byte = target.ptr[i], digits[3] = "";
                if (byte == '%') {
                        if (i + 2 >= target.len || !is_hex((unsigned char)target.ptr[i + 1]) ||
                            !is_hex((unsigned char)target.ptr[i + 2]))
                                return false;
                        memcpy(digits, target.ptr + i + 1, 2);
                        byte = (char)strtoul(digits, NULL, 16);
                        i += 2;
                }
                decoded[len++] = byte;
        }
        for (size_t i = 0; i + 1 < len; i++) { /* C1 */
                if ((unsigned char)decoded[i] == 0xc2 && (unsigned char)decoded[i + 1] < 0xa0)
                        return false;
        }
        bool absolute = (target.len > 7 && strncasecmp(target.ptr, "http://", 7) == 0) ||
                        (target.len >= 8 && strncasecmp(target.ptr, "https://", 8) == 0);
        return fuzz_is_line(decoded, len) && (target.ptr[0] == '/' || absolute);
}

static bool request_line_is_sound(struct text line, struct head *head)
{
        const char *end = line.ptr + line.len;
        const char *first = memchr(line.ptr, ' ', line.len);
        const char *second = first ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;

        if (!second)
                return false;
        struct text method = {line.ptr, (size_t)(first - line.ptr)};
        struct text target = {first + 1, (size_t)(second - first - 1)};
        struct text version = {second + 1, (size_t)(end - second - 1)};
        if (method.len == 0 || method.len > 32 || !all_of(method, is_tchar))
                return false;
        if (version.len != 8 || memcmp(version.ptr, "HTTP/1.", 7) != 0 ||
            !is_digit((unsigned char)version.ptr[7]))
                return false;
        head->http_1_0 = version.ptr[7] == '0';
        return target.len > 0 && target_is_sound(target);
}

static bool note_length(struct text value, struct head *head)
{
        if (value.len == 0 || value.len > 18 || !all_of(value, is_digit))
                return false;
        head->length = true;
        head->body = strtoull(value.ptr, NULL, 10); /* the CR ends it */
        return true;
}

static bool field_is_sound(struct text line, struct head *head, bool trailer)
{
        static const char *const once[] = {"host",           "content-length", "transfer-encoding",
                                           "content-type",   "authorization",  "apikey",
                                           "idempotency-key"};
        const char *colon = memchr(line.ptr, ':', line.len);

        if (!colon || colon == line.ptr)
                return false;
        struct text name = {line.ptr, (size_t)(colon - line.ptr)};
        struct text value = {colon + 1, line.len - name.len - 1};
        while (value.len > 0 && (*value.ptr == ' ' || *value.ptr == '\t'))
                value = (struct text){value.ptr + 1, value.len - 1};
        if (!all_of(name, is_tchar) || !all_of(value, is_field_byte))
                return false;
        if (trailer && text_is(name, "cookie"))
                return false;
        for (unsigned i = 0; i < sizeof once / sizeof *once; i++) {
                if (!text_is(name, once[i]))
                        continue;
                if (trailer || (head->twice & 1U << i))
                        return false;
                head->twice |= 1U << i;
        }
        head->host |= text_is(name, "host");
        if (text_is(name, "content-length"))
                return note_length(value, head);
        if (text_is(name, "transfer-encoding")) {
                head->chunked = true;
                return text_is(value, "chunked");
        }
        return true;
}

/* The next line, without its CR LF. Returns false when it is not complete. */
static bool next_line(struct text *rest, struct text *ret_line)
{
        const char *end = memmem(rest->ptr, rest->len, "\r\n", 2);

        if (!end)
                return false;
        *ret_line = (struct text){rest->ptr, (size_t)(end - rest->ptr)};
        *rest = (struct text){end + 2, rest->len - ret_line->len - 2};
        return true;
}

static enum found read_fields(struct text *rest, struct head *head, bool trailer)
{
        struct text line;

        while (next_line(rest, &line)) {
                if (line.len == 0)
                        return FOUND_MESSAGE;
                if (!field_is_sound(line, head, trailer))
                        return FOUND_FAULT;
        }
        return FOUND_INCOMPLETE;
}

static enum found pass(struct text *rest, uint64_t len)
{
        if (rest->len < len)
                return FOUND_INCOMPLETE;
        *rest = (struct text){rest->ptr + len, rest->len - (size_t)len};
        return FOUND_MESSAGE;
}

static enum found read_chunks(struct text *rest, struct head *head)
{
        for (;;) {
                struct text line;
                if (!next_line(rest, &line))
                        return FOUND_INCOMPLETE;
                size_t digits = 0;
                while (digits < line.len && is_hex((unsigned char)line.ptr[digits]))
                        digits++;
                struct text extension = {line.ptr + digits, line.len - digits};
                if (digits == 0 || digits > 15 || extension.len > FRAMING_EXTENSION_MAX ||
                    (extension.len > 0 && extension.ptr[0] != ';') ||
                    !all_of(extension, is_field_byte))
                        return FOUND_FAULT;
                uint64_t len = strtoull(line.ptr, NULL, 16); /* a sign ends it */
                if (len == 0)
                        return read_fields(rest, head, true);
                enum found found = pass(rest, len);
                if (found != FOUND_MESSAGE)
                        return found;
                if (rest->len >= 2 && memcmp(rest->ptr, "\r\n", 2) != 0)
                        return FOUND_FAULT;
                found = pass(rest, 2);
                if (found != FOUND_MESSAGE)
                        return found;
        }
}

/* Reads one message, and moves rest behind it. */
static enum found read_message(struct text *rest)
{
        struct head head = {0};
        struct text line;

        do {
                if (!next_line(rest, &line))
                        return FOUND_INCOMPLETE;
        } while (line.len == 0);
        if (!request_line_is_sound(line, &head))
                return FOUND_FAULT;
        enum found found = read_fields(rest, &head, false);
        if (found != FOUND_MESSAGE)
                return found;
        if ((!head.host && !head.http_1_0) || (head.length && head.chunked) ||
            (head.chunked && head.http_1_0))
                return FOUND_FAULT;
        return head.chunked ? read_chunks(rest, &head) : pass(rest, head.body);
}

/* ---- the comparison ---- */

/* Passes copies of pieces. left gets what is left of them, and has room for all. */
static size_t feed(struct framing *framing, const char *bytes, size_t len, size_t piece, char *left)
{
        size_t passed = 0;

        framing_init(framing);
        for (size_t at = 0; at < len && !framing->fault; at += piece) {
                size_t part = len - at < piece ? len - at : piece;
                char *exact = malloc(framing->spaces + part);
                CHECK(exact);
                memcpy(exact + framing->spaces, bytes + at, part);
                size_t kept = framing_feed(framing, exact, part);
                memcpy(left + passed, exact, kept);
                passed += kept;
                free(exact);
        }
        return passed;
}

/* What was left has nothing more to be taken out, and says the same. */
static void feed_again(const struct framing *first, const char *left, size_t len)
{
        char *again = fuzz_copy((const uint8_t *)left, len);
        struct framing framing;

        CHECK(feed(&framing, left, len, len > 0 ? len : 1, again) == len);
        CHECK(memcmp(again, left, len) == 0);
        CHECK(!framing.fault && framing.ended == first->ended);
        free(again);
}

/* A fault that is only about a size or a number of something: the second reader has no limits. */
static bool is_about_size(const struct framing_fault *fault)
{
        return fault->status == 431 || fault->status == 414 || strstr(fault->message, "trailer");
}

static void compare(const struct framing *framing, const char *bytes, size_t len)
{
        struct text rest = {bytes, len};
        enum found found;
        uint64_t messages = 0;

        while ((found = read_message(&rest)) == FOUND_MESSAGE) {
                messages++;
                if (framing->fault && messages > framing->ended) {
                        CHECK(is_about_size(framing->fault));
                        return;
                }
        }
        CHECK(messages == framing->ended);
        CHECK(found != FOUND_FAULT || framing->fault);
        CHECK(framing->headers >= framing->ended && framing->headers <= framing->ended + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct framing whole, pieces;

        if (size < 1)
                return 0;
        size_t piece = 1 + data[0] % 64, len = size - 1;
        char *bytes = fuzz_copy(data + 1, len);
        char *left = fuzz_copy(data + 1, len), *left_pieces = fuzz_copy(data + 1, len);
        size_t passed = feed(&whole, bytes, len, len > 0 ? len : 1, left);
        size_t passed_pieces = feed(&pieces, bytes, len, piece, left_pieces);

        /* Of two faults in one target, the pieces may decide which one is named. */
        CHECK(!whole.fault == !pieces.fault && whole.ended == pieces.ended);
        CHECK(whole.headers == pieces.headers);
        CHECK(passed <= len && passed_pieces <= len);
        CHECK(whole.fault || passed_pieces == passed);
        CHECK(whole.fault || memcmp(left, left_pieces, passed) == 0);
        feed_again(&whole, left, passed);
        CHECK(framing_in_message(&whole) == framing_in_message(&pieces));
        if (whole.fault) {
                CHECK(whole.fault->status >= 400 && whole.fault->status < 600);
                CHECK(fuzz_is_line(whole.fault->message, strlen(whole.fault->message)));
        }
        if (len < LINE_MAX_BYTES)
                compare(&whole, bytes, len);
        free(left_pieces);
        free(left);
        free(bytes);
        return 0;
}
