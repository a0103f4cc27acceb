/*
 * hex: bytes as lower-case hexadecimal digits. Thread: any.
 */
#ifndef SOLVEGATE_BASE_HEX_H
#define SOLVEGATE_BASE_HEX_H

#include <stddef.h>

#define HEX_DIGITS "0123456789abcdef"

/* Room for the digits of so many bytes, and NUL. */
#define HEX_BYTES(len) (2 * (len) + 1)

/* Writes len bytes as HEX_BYTES(len) characters, with NUL. */
void hex_write(const void *bytes, size_t len, char *ret_text);

#endif
