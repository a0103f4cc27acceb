/*
 * base64: what is base64 and what is not (RFC 4648, section 4). Nothing is decoded.
 */
#ifndef SOLVEGATE_BASE_BASE64_H
#define SOLVEGATE_BASE_BASE64_H

#include <stddef.h>

/*
 * Returns how many characters at the start of text are base64: of its alphabet, then up to two
 * padding characters at the very end of text. Text is whole when that is len, len is a multiple of
 * 4, and len is not 0. Bits that padding leaves over may be set (section 3.5 lets a reader choose).
 */
size_t base64_span(const char *text, size_t len);

#endif
