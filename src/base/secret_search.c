/*
 * secret_search: see secret_search.h. Each form is one pass: it decodes the text to bytes, from
 * left to right, and gives them to a matcher. A pass reads the text alone and writes the copy
 * alone, so places may overlap, and no pass spoils another one.
 */
#include "base/secret_search.h"

#include "base/hex.h"

#include <assert.h>
#include <string.h>

/* How far one pass has got in the pattern. */
struct matcher {
        const struct secret_pattern *pattern;
        size_t matched;
};

struct search {
        const struct secret_pattern *pattern;
        const char *text;
        size_t len;
        char *copy; /* or NULL */
        size_t places;
};

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int base64_digit(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == '+' || c == '-')
                return 62;
        return c == '/' || c == '_' ? 63 : -1;
}

void secret_pattern_init(struct secret_pattern *pattern, const char *secret)
{
        size_t len = strlen(secret), border = 0;

        assert(len <= SECRET_SEARCH_BYTES_MAX);
        *pattern = (struct secret_pattern){
                .len = len < SECRET_SEARCH_BYTES_MIN ? 0 : len,
                .all_forms = len >= SECRET_SEARCH_FORMS_BYTES_MIN,
        };
        for (size_t i = 0; i < pattern->len; i++)
                pattern->bytes[i] = pattern->all_forms ? lower(secret[i]) : secret[i];
        /* borders[n]: the longest proper prefix of the first n bytes that is also their suffix. */
        for (size_t n = 1; n < pattern->len; n++) {
                while (border > 0 && pattern->bytes[n] != pattern->bytes[border])
                        border = pattern->borders[border];
                border += pattern->bytes[n] == pattern->bytes[border];
                pattern->borders[n + 1] = (uint16_t)border;
        }
}

/* Takes the next byte. Returns whether the secret ends with it. */
static bool matcher_take(struct matcher *matcher, char byte)
{
        const struct secret_pattern *pattern = matcher->pattern;
        char c = pattern->all_forms ? lower(byte) : byte;

        while (matcher->matched > 0 && pattern->bytes[matcher->matched] != c)
                matcher->matched = pattern->borders[matcher->matched];
        matcher->matched += pattern->bytes[matcher->matched] == c;
        if (matcher->matched < pattern->len)
                return false;
        matcher->matched = pattern->borders[pattern->len];
        return true;
}

/* The secret is in the text from start on, before end. */
static void found(struct search *search, size_t start, size_t end)
{
        search->places++;
        if (search->copy)
                memset(search->copy + start, '*', end - start);
}

static void find_plain(struct search *search)
{
        struct matcher matcher = {search->pattern, 0};

        for (size_t i = 0; i < search->len; i++) {
                if (matcher_take(&matcher, search->text[i]))
                        found(search, i + 1 - search->pattern->len, i + 1);
        }
}

/* The value of n hexadecimal digits, or -1 if they are not there or not of ASCII. */
static int hex_value(const char *text, size_t len, size_t n)
{
        int value = 0;

        if (len < n)
                return -1;
        for (size_t i = 0; i < n; i++) {
                int digit = hex_digit(text[i]);
                if (digit < 0 || value > 0x7f)
                        return -1;
                value = value << 4 | digit;
        }
        return value <= 0x7f ? value : -1;
}

/* Decodes one character: %XX, \uXXXX, \xXX, or a backslash and what it escapes. Returns its length
 * in the text. */
static size_t unescape(const char *text, size_t len, char *ret_byte)
{
        size_t prefix = 0, digits = 2;
        int value = -1;

        if (text[0] == '%')
                prefix = 1;
        else if (text[0] == '\\' && len > 1 && (text[1] == 'u' || text[1] == 'x'))
                prefix = 2;
        if (prefix == 2 && text[1] == 'u')
                digits = 4;
        if (prefix > 0)
                value = hex_value(text + prefix, len - prefix, digits);
        if (value >= 0) {
                *ret_byte = (char)value;
                return prefix + digits;
        }
        /* A backslash before %XX does not escape it: percent-encoding knows no backslashes. */
        bool pair = text[0] == '\\' && len > 1 &&
                    !(text[1] == '%' && hex_value(text + 2, len - 2, 2) >= 0);
        *ret_byte = pair ? text[1] : text[0];
        return pair ? 2 : 1;
}

static void find_escaped(struct search *search)
{
        struct matcher matcher = {search->pattern, 0};
        size_t starts[SECRET_SEARCH_BYTES_MAX]; /* of the last characters, by number modulo len */
        size_t pattern_len = search->pattern->len, number = 0, n;
        char byte;

        for (size_t i = 0; i < search->len; i += n) {
                n = unescape(search->text + i, search->len - i, &byte);
                starts[number++ % pattern_len] = i;
                if (matcher_take(&matcher, byte))
                        found(search, starts[number % pattern_len], i + n);
        }
}

/* One of the two ways to pair the digits. */
static void find_hex(struct search *search, size_t phase)
{
        struct matcher matcher = {search->pattern, 0};

        for (size_t i = phase; i + 2 <= search->len; i += 2) {
                int value = hex_value(search->text + i, 2, 2);
                if (value < 0)
                        matcher.matched = 0;
                else if (matcher_take(&matcher, (char)value))
                        found(search, i + 2 - 2 * search->pattern->len, i + 2);
        }
}

/*
 * One of the four ways to divide the digits into groups of 4, which are 3 bytes. Byte b of all has
 * its bits in the digits b / 3 * 4 + b % 3 and the next one.
 */
static void find_base64(struct search *search, size_t phase)
{
        struct matcher matcher = {search->pattern, 0};
        int last = -1;

        for (size_t i = phase; i < search->len; i++) {
                size_t in_group = (i - phase) % 4;
                int digit = base64_digit(search->text[i]);
                if (in_group > 0 && (last < 0 || digit < 0))
                        matcher.matched = 0;
                if (in_group > 0 && last >= 0 && digit >= 0) {
                        int byte = (last << 2 * in_group | digit >> (6 - 2 * in_group)) & 0xff;
                        size_t first = (i - phase) / 4 * 3 + in_group - search->pattern->len;
                        if (matcher_take(&matcher, (char)byte))
                                found(search, phase + first / 3 * 4 + first % 3, i + 1);
                }
                last = digit;
        }
}

/* Whether text has that many base64 digits in a row. Hexadecimal digits are base64 digits, too. */
static bool has_run(const char *text, size_t len, size_t wanted)
{
        size_t run = 0;

        for (size_t i = 0; i < len && run < wanted; i++)
                run = base64_digit(text[i]) < 0 ? 0 : run + 1;
        return run >= wanted;
}

size_t secret_search(const struct secret_pattern *pattern, const char *text, size_t len, char *copy)
{
        struct search search = {pattern, text, len, copy, 0};

        if (pattern->len == 0 || len < pattern->len)
                return 0;
        find_plain(&search);
        if (!pattern->all_forms)
                return search.places;
        if (memchr(text, '%', len) || memchr(text, '\\', len))
                find_escaped(&search);
        if (has_run(text, len, (pattern->len * 8 + 5) / 6)) {
                for (size_t phase = 0; phase < 2; phase++)
                        find_hex(&search, phase);
                for (size_t phase = 0; phase < 4; phase++)
                        find_base64(&search, phase);
        }
        return search.places;
}
