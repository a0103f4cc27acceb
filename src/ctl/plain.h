/*
 * plain: text of others, made fit for a terminal, and how wide it is there. Names, messages and
 * what an upstream has said may hold anything; none of it may move the cursor, change the order of
 * letters, or hide.
 *
 * What the locale's character set cannot show is escaped too: without UTF-8 all that is not ASCII.
 */
#ifndef SOLVEGATE_CTL_PLAIN_H
#define SOLVEGATE_CTL_PLAIN_H

#include <stdarg.h>
#include <stddef.h>

#define PLAIN_GROWTH_MAX 6 /* one byte becomes at most so many: \u{7f} */

struct strbuf;

/*
 * Appends the text on one line: control characters, format characters and bytes that are no UTF-8
 * become \n, \x1b, \u{202e}. Returns as strbuf_append().
 */
int plain_append(struct strbuf *out, const char *text);

/* Formats the text as vprintf(3), and appends it so. Returns as strbuf_append(). */
int plain_vprintf(struct strbuf *out, const char *format, va_list arguments)
        __attribute__((format(printf, 2, 0)));

/*
 * Appends JSON text, which must be well-formed, in one line: the same characters, which stand raw
 * inside strings only, are escaped as JSON does it (RFC 8259, section 7), so the value is the same.
 */
int plain_append_json(struct strbuf *out, const char *text, size_t len);

/* How many columns plain text takes. */
size_t plain_width(const char *text, size_t len);

/* Appends plain text; where it takes more columns, what fits and a sign. columns: 0: any. */
void plain_append_cut(struct strbuf *out, const char *text, size_t len, size_t columns);

#endif
