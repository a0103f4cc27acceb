/*
 * base64: see base64.h. libcrypto decodes, but ignores white space and more; so characters are
 * checked here. Images are most of a body, so that happens in blocks, in a loop of fixed length
 * without branches, which compilers turn into vector instructions.
 */
#include "base/base64.h"

#include <openssl/evp.h>
#include <stdbool.h>
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
        const unsigned char *chars = (const unsigned char *)text;
        size_t pad = padding(text, len), whole = pad > 0 ? len - 4 : len, bytes = whole / 4 * 3;
        unsigned char last[3]; /* libcrypto writes a zero for each padding character */

        (void)EVP_DecodeBlock(ret_bytes, chars, (int)whole);
        if (pad > 0) {
                (void)EVP_DecodeBlock(last, chars + whole, 4);
                memcpy(ret_bytes + bytes, last, sizeof last - pad);
        }
        return base64_decoded_length(text, len);
}
