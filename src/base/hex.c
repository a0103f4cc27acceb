/*
 * hex: see hex.h.
 */
#include "base/hex.h"

void hex_write(const void *bytes, size_t len, char *ret_text)
{
        const unsigned char *next = bytes;

        for (size_t i = 0; i < len; i++) {
                *ret_text++ = HEX_DIGITS[next[i] >> 4];
                *ret_text++ = HEX_DIGITS[next[i] & 15];
        }
        *ret_text = '\0';
}
