/*
 * base64: see base64.h. Images are most of a body, so their characters are read in blocks, in loops
 * of fixed length without branches, which compilers turn into vector instructions.
 */
#include "base/base64.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BLOCK_BYTES 64
#define PADDING_MAX 2

static bool in_alphabet(unsigned char c)
{
        unsigned char letter = (unsigned char)((c | 0x20) - 'a');
        unsigned char slash_or_digit = (unsigned char)(c - '/');

        /* No short circuit, for the sake of block_in_alphabet(). */
        return (letter < 26) | (slash_or_digit < 11) | (c == '+');
}

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

/* All bits set when c is one of count characters from first on, else none. */
static unsigned char in_range(unsigned char c, char first, unsigned char count)
{
        return (unsigned char)-((unsigned char)(c - first) < count);
}

/* The 6 bits of a character of the alphabet, by what its range is shifted. */
static unsigned char value_of(unsigned char c)
{
        unsigned char shift = in_range(c, 'A', 26) & (unsigned char)(0 - 'A');

        shift |= in_range(c, 'a', 26) & (unsigned char)(26 - 'a');
        shift |= in_range(c, '0', 10) & (52 - '0');
        shift |= in_range(c, '+', 1) & (62 - '+');
        shift |= in_range(c, '/', 1) & (63 - '/');
        return (unsigned char)(c + shift);
}

static void block_values(const unsigned char block[restrict static BLOCK_BYTES],
                         unsigned char ret_values[restrict static BLOCK_BYTES])
{
        for (size_t i = 0; i < BLOCK_BYTES; i++)
                ret_values[i] = value_of(block[i]);
}

/* Joins 8 values of 6 bits to 6 bytes: neighbours to 12 bits, those to 24. */
static void join_values(const unsigned char values[static 8], unsigned char ret_bytes[static 6])
{
        uint64_t word;

        memcpy(&word, values, sizeof word);
        word = be64toh(word);
        word = (word >> 2 & UINT64_C(0x0fc00fc00fc00fc0)) | (word & UINT64_C(0x003f003f003f003f));
        word = (word >> 4 & UINT64_C(0x00fff00000fff000)) | (word & UINT64_C(0x00000fff00000fff));
        word = htobe64((word >> 8 & UINT64_C(0x0000ffffff000000)) | (word & UINT64_C(0xffffff)));
        memcpy(ret_bytes, (const unsigned char *)&word + 2, 6);
}

static size_t padding(const char *text, size_t len)
{
        if (len == 0 || text[len - 1] != '=')
                return 0;
        return text[len - 2] == '=' ? 2 : 1;
}

size_t base64_decoded_length(const char *text, size_t len)
{
        return len / 4 * 3 - padding(text, len);
}

size_t base64_decode(const char *text, size_t len, unsigned char *ret_bytes)
{
        const unsigned char *next = (const unsigned char *)text;
        size_t left = base64_decoded_length(text, len), decoded = left;
        unsigned char values[BLOCK_BYTES], last[BLOCK_BYTES / 4 * 3];

        while (left >= sizeof last) {
                block_values(next, values);
                for (size_t i = 0; i < BLOCK_BYTES / 8; i++)
                        join_values(values + 8 * i, ret_bytes + 6 * i);
                next += BLOCK_BYTES;
                ret_bytes += sizeof last;
                left -= sizeof last;
        }
        if (left > 0) {
                unsigned char block[BLOCK_BYTES] = {0};
                memcpy(block, next, (left + 2) / 3 * 4);
                block_values(block, values);
                for (size_t i = 0; i < BLOCK_BYTES / 8; i++)
                        join_values(values + 8 * i, last + 6 * i);
                memcpy(ret_bytes, last, left);
        }
        return decoded;
}
