/*
 * strbuf: a growable string with a mandatory ceiling.
 *
 * An append that fails (no memory, or past the ceiling) leaves the text as it was and marks the
 * buffer as failed; every later append fails too. So a writer may append many times and look at
 * the result once. The text is always NUL-terminated once anything was appended.
 *
 * A strbuf is a value: whoever holds it frees it with strbuf_done(). Not locked.
 */
#ifndef SOLVEGATE_BASE_STRBUF_H
#define SOLVEGATE_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
        char *data;       /* NULL until the first append */
        size_t len;       /* bytes of text, without the terminating NUL */
        size_t capacity;  /* bytes allocated */
        size_t max_bytes; /* len never passes this */
        bool failed;      /* an append failed: the text is not whole */
};

/* Makes an empty buffer that never holds more than max_bytes. Allocates nothing. */
void strbuf_init(struct strbuf *buf, size_t max_bytes);

/* Frees the text. The buffer may be used again after strbuf_init(). */
void strbuf_done(struct strbuf *buf);

/* Appends len bytes. Returns 0, -ENOMEM, or -EMSGSIZE past the ceiling. */
int strbuf_append(struct strbuf *buf, const void *bytes, size_t len);

/* Appends a C string. Returns as strbuf_append(). */
int strbuf_puts(struct strbuf *buf, const char *text);

/* Appends formatted text. Returns as strbuf_append(). */
int strbuf_printf(struct strbuf *buf, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/*
 * Appends len bytes as a JSON string with its quotes (RFC 8259, section 7): quote, backslash and
 * control characters are escaped, and bytes that are no UTF-8 become U+FFFD, so that the result
 * is always well-formed. Returns as strbuf_append().
 */
int strbuf_append_json_string(struct strbuf *buf, const char *text, size_t len);

/* Makes room for len bytes in all, so that appending up to there allocates once. */
int strbuf_reserve(struct strbuf *buf, size_t len);

/*
 * Gives the text to the caller, who frees it with free(), and empties the buffer. Returns NULL
 * when the buffer failed or is without memory; the buffer is then emptied all the same.
 */
char *strbuf_take(struct strbuf *buf, size_t *ret_len);

#endif
