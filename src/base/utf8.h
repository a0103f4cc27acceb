/*
 * utf8: what is UTF-8 and what is not (Unicode 15, table 3-7), by libunistring.
 */
#ifndef SOLVEGATE_BASE_UTF8_H
#define SOLVEGATE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 sequence that starts at text, 1 to 4; 0 where none does. len is > 0. */
size_t utf8_sequence(const unsigned char *text, size_t len);

/* Whether text is UTF-8 as a whole. */
bool utf8_is_valid(const char *text, size_t len);

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Passes the next character of *text, or one byte that is not UTF-8; *len is > 0. Returns the
 * *ret_len bytes to write for it: the character, or UTF8_REPLACEMENT.
 */
const char *utf8_take(const char **text, size_t *len, size_t *ret_len);

/* The length of the byte order mark that a text begins with (RFC 3629, 6): 3, or 0. */
size_t utf8_bom(const char *text, size_t len);

/* The character of a sequence of this length, as utf8_sequence() has measured it. */
uint32_t utf8_decode(const unsigned char *text, size_t len);

/*
 * Whether a character is not seen, but can make a reader see another text than was written: the
 * categories control, format, and separator of lines or paragraphs, and what renderers ignore by
 * default (marks of direction, what has no width, tags). Unassigned ones depend on the library's
 * version of Unicode.
 */
bool utf8_hidden(uint32_t character);

/* Takes off the text's end what snprintf(3) has left of a sequence there, where the text fills a
 * buffer of this size, and so may have been cut. */
void utf8_end_cut(char *text, size_t size);

#endif
