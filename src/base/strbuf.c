/*
 * strbuf: see strbuf.h. Growth doubles, so appending is linear in the end.
 */
#include "base/strbuf.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 128

void strbuf_init(struct strbuf *buf, size_t max_bytes)
{
        *buf = (struct strbuf){.max_bytes = max_bytes};
}

void strbuf_done(struct strbuf *buf)
{
        free(buf->data);
        strbuf_init(buf, buf->max_bytes);
}

static int fail(struct strbuf *buf, int error)
{
        buf->failed = true;
        return error;
}

/* Makes the allocation hold len bytes and a NUL. */
static int grow(struct strbuf *buf, size_t len, size_t capacity)
{
        if (len > buf->max_bytes)
                return fail(buf, -EMSGSIZE);
        if (len < buf->capacity)
                return 0;
        if (capacity > buf->max_bytes)
                capacity = buf->max_bytes;
        if (capacity < len)
                capacity = len;
        char *data = realloc(buf->data, capacity + 1);
        if (!data)
                return fail(buf, -ENOMEM);
        buf->data = data;
        buf->capacity = capacity + 1;
        return 0;
}

int strbuf_reserve(struct strbuf *buf, size_t len)
{
        return buf->failed ? -EMSGSIZE : grow(buf, len, len);
}

int strbuf_append(struct strbuf *buf, const void *bytes, size_t len)
{
        if (buf->failed || len > buf->max_bytes - buf->len)
                return fail(buf, -EMSGSIZE);
        size_t doubled = buf->capacity ? buf->capacity * 2 : FIRST_CAPACITY;
        int r = grow(buf, buf->len + len, doubled);
        if (r < 0)
                return r;
        if (len > 0)
                memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
        buf->data[buf->len] = '\0';
        return 0;
}

int strbuf_puts(struct strbuf *buf, const char *text)
{
        return strbuf_append(buf, text, strlen(text));
}

int strbuf_printf(struct strbuf *buf, const char *format, ...)
{
        char small[256];
        va_list args;

        va_start(args, format);
        int len = vsnprintf(small, sizeof small, format, args);
        va_end(args);
        if (len < 0)
                return fail(buf, -EINVAL);
        if ((size_t)len < sizeof small)
                return strbuf_append(buf, small, (size_t)len);
        if (buf->failed || (size_t)len > buf->max_bytes - buf->len)
                return fail(buf, -EMSGSIZE);
        int r = grow(buf, buf->len + (size_t)len, buf->capacity * 2);
        if (r < 0)
                return r;
        va_start(args, format);
        (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
        va_end(args);
        buf->len += (size_t)len;
        return 0;
}

char *strbuf_take(struct strbuf *buf, size_t *ret_len)
{
        char *text = NULL;

        if (buf->failed || !buf->data) {
                free(buf->data);
        } else {
                text = buf->data;
                if (ret_len)
                        *ret_len = buf->len;
        }
        strbuf_init(buf, buf->max_bytes);
        return text;
}

static int append_json_char(struct strbuf *buf, unsigned char c)
{
        switch (c) {
        case '"':
                return strbuf_puts(buf, "\\\"");
        case '\\':
                return strbuf_puts(buf, "\\\\");
        case '\n':
                return strbuf_puts(buf, "\\n");
        case '\r':
                return strbuf_puts(buf, "\\r");
        case '\t':
                return strbuf_puts(buf, "\\t");
        default:
                return strbuf_printf(buf, "\\u%04x", c);
        }
}

static bool plain_json_char(unsigned char c)
{
        return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

int strbuf_append_json_string(struct strbuf *buf, const char *text, size_t len)
{
        const unsigned char *next = (const unsigned char *)text, *end = next + len;

        (void)strbuf_puts(buf, "\"");
        while (next < end && !buf->failed) {
                const unsigned char *run = next;
                while (next < end && plain_json_char(*next))
                        next++;
                (void)strbuf_append(buf, run, (size_t)(next - run));
                if (next == end)
                        break;
                size_t sequence = utf8_sequence(next, (size_t)(end - next));
                if (sequence == 0) {
                        (void)strbuf_puts(buf, UTF8_REPLACEMENT);
                        next++;
                } else if (sequence == 1) {
                        (void)append_json_char(buf, *next++);
                } else {
                        (void)strbuf_append(buf, next, sequence);
                        next += sequence;
                }
        }
        return strbuf_puts(buf, "\"");
}
