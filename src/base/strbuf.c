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

/* Appends a character that a string may not hold as it is. */
static int append_escaped(struct strbuf *buf, unsigned char c)
{
        static const char characters[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
        const char *found = memchr(characters, c, sizeof characters - 1);

        if (found)
                return strbuf_printf(buf, "\\%c", letters[found - characters]);
        return strbuf_printf(buf, "\\u%04x", c);
}

/* The length of the text's beginning that may stand in a string as it is. */
static size_t plain_length(const char *text, size_t len)
{
        size_t n = 0;

        while (n < len && text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' && text[n] != '\\')
                n++;
        return n;
}

int strbuf_append_json_string(struct strbuf *buf, const char *text, size_t len)
{
        (void)strbuf_puts(buf, "\"");
        while (len > 0 && !buf->failed) {
                size_t n = plain_length(text, len);
                const char *character = text;
                text += n;
                len -= n;
                if (n == 0)
                        character = utf8_take(&text, &len, &n);
                if (n == 1 && plain_length(character, 1) == 0)
                        (void)append_escaped(buf, (unsigned char)*character);
                else
                        (void)strbuf_append(buf, character, n);
        }
        return strbuf_puts(buf, "\"");
}
