/*
 * base64: what is base64 and what is not, and what it stands for (RFC 4648, section 4).
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

/* How many bytes text stands for. Requires that it is whole, or empty. */
size_t base64_decoded_length(const char *text, size_t len);

/*
 * Decodes text to ret_bytes, which holds base64_decoded_length() bytes. Returns how many were
 * written. Requires that text is whole, or empty; a long text may be decoded in pieces of which
 * each but the last is a multiple of 4 characters. Bits that padding leaves over are dropped.
 */
size_t base64_decode(const char *text, size_t len, unsigned char *ret_bytes);

#endif
