/*
 * plain: see plain.h.
 */
#include "ctl/plain.h"

#include "base/strbuf.h"
#include "base/utf8.h"

#include <errno.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static bool speaks_utf8(void)
{
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static bool may_show(uint32_t code, bool utf8)
{
        if (utf8_hidden(code))
                return false;
        return code < 0x80 || (utf8 && wcwidth((wchar_t)code) >= 0);
}

static int append_escaped(struct strbuf *out, uint32_t code)
{
        if (code == '\n')
                return strbuf_puts(out, "\\n");
        if (code == '\t')
                return strbuf_puts(out, "\\t");
        if (code < 0x80)
                return strbuf_printf(out, "\\x%02x", code);
        return strbuf_printf(out, "\\u{%x}", code);
}

int plain_append(struct strbuf *out, const char *text)
{
        const unsigned char *next = (const unsigned char *)text;
        size_t left = strlen(text);
        bool utf8 = speaks_utf8();
        int r = 0;

        while (left > 0 && r == 0) {
                size_t len = utf8_sequence(next, left);
                if (len == 0) {
                        r = strbuf_printf(out, "\\x%02x", next[0]);
                        len = 1;
                } else {
                        uint32_t code = utf8_decode(next, len);
                        r = may_show(code, utf8) ? strbuf_append(out, next, len)
                                                 : append_escaped(out, code);
                }
                next += len;
                left -= len;
        }
        return r;
}

int plain_vprintf(struct strbuf *out, const char *format, va_list arguments)
{
        char *text;

        if (vasprintf(&text, format, arguments) < 0) {
                out->failed = true;
                return -ENOMEM;
        }
        int r = plain_append(out, text);
        free(text);
        return r;
}

/* Past the basic plane by two surrogates. */
static int append_json_escaped(struct strbuf *out, uint32_t code)
{
        if (code < 0x10000)
                return strbuf_printf(out, "\\u%04x", code);
        code -= 0x10000;
        return strbuf_printf(out, "\\u%04x\\u%04x", 0xD800 | code >> 10, 0xDC00 | (code & 0x3FF));
}

int plain_append_json(struct strbuf *out, const char *text, size_t len)
{
        const unsigned char *next = (const unsigned char *)text;
        int r = 0;

        while (len > 0 && r == 0) {
                size_t n = utf8_sequence(next, len);
                uint32_t code = n > 0 ? utf8_decode(next, n) : 0xFFFD;
                if (code < 0x20)
                        r = strbuf_puts(out, " "); /* white space between values */
                else if (n == 0 || utf8_hidden(code))
                        r = append_json_escaped(out, code);
                else
                        r = strbuf_append(out, next, n);
                n = n > 0 ? n : 1;
                next += n;
                len -= n;
        }
        return r;
}

/* Steps over one character and tells its width. */
static size_t step(const char *text, size_t len, size_t *ret_columns)
{
        size_t n = utf8_sequence((const unsigned char *)text, len);

        if (n == 0) {
                *ret_columns = 1;
                return 1;
        }
        int columns = n == 1 ? 1 : wcwidth((wchar_t)utf8_decode((const unsigned char *)text, n));
        *ret_columns = columns > 0 ? (size_t)columns : 0;
        return n;
}

/* How many bytes fit into so many columns. */
static size_t fit(const char *text, size_t len, size_t columns)
{
        size_t at = 0, width;

        while (at < len) {
                size_t n = step(text + at, len - at, &width);
                if (width > columns)
                        break;
                columns -= width;
                at += n;
        }
        return at;
}

size_t plain_width(const char *text, size_t len)
{
        size_t columns = 0, width;

        for (size_t at = 0; at < len;) {
                at += step(text + at, len - at, &width);
                columns += width;
        }
        return columns;
}

void plain_append_cut(struct strbuf *out, const char *text, size_t len, size_t columns)
{
        if (columns == 0 || plain_width(text, len) <= columns) {
                (void)strbuf_append(out, text, len);
                return;
        }
        (void)strbuf_append(out, text, fit(text, len, columns - 1));
        (void)strbuf_puts(out, speaks_utf8() ? "\u2026" : "~");
}
