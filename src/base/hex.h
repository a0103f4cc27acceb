/*
 * hex: bytes as lower-case hexadecimal digits, and the value of a digit. Thread: any.
 */
#ifndef SOLVEGATE_BASE_HEX_H
#define SOLVEGATE_BASE_HEX_H

#include <stddef.h>

#define HEX_DIGITS "0123456789abcdef"

/* Room for the digits of so many bytes, and NUL. */
#define HEX_BYTES(len) (2 * (len) + 1)

/* Writes len bytes as HEX_BYTES(len) characters, with NUL. */
void hex_write(const void *bytes, size_t len, char *ret_text);

/* The value of a hexadecimal digit in either case, or -1. */
static inline int hex_digit(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        if (digit >= 'a' && digit <= 'f')
                return digit - 'a' + 10;
        return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

#endif
