/*
 * base64: see base64.h. Images are most of a body, so their characters are checked in blocks.
 */
#include "base/base64.h"

#include <stdbool.h>

#define BLOCK_BYTES 64
#define PADDING_MAX 2

static bool in_alphabet(unsigned char c)
{
        unsigned char letter = (unsigned char)((c | 0x20) - 'a');
        unsigned char slash_or_digit = (unsigned char)(c - '/');

        /* No short circuit, for the sake of block_in_alphabet(). */
        return (letter < 26) | (slash_or_digit < 11) | (c == '+');
}

/* A loop of fixed length without branches, which compilers turn into vector instructions. */
static bool block_in_alphabet(const unsigned char block[static BLOCK_BYTES])
{
        unsigned char bad = 0;

        for (size_t i = 0; i < BLOCK_BYTES; i++)
                bad |= !in_alphabet(block[i]);
        return !bad;
}

size_t base64_span(const char *text, size_t len)
{
        const unsigned char *bytes = (const unsigned char *)text;
        size_t unpadded = len, span = 0;

        while (unpadded > 0 && len - unpadded < PADDING_MAX && text[unpadded - 1] == '=')
                unpadded--;
        while (unpadded - span >= BLOCK_BYTES && block_in_alphabet(bytes + span))
                span += BLOCK_BYTES;
        while (span < unpadded && in_alphabet(bytes[span]))
                span++;
        return span == unpadded ? len : span;
}
