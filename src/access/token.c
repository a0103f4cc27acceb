/*
 * token: see token.h.
 */
#include "access/token.h"

#include "base/digest.h"
#include "base/hex.h"
#include "base/random.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stddef.h>
#include <string.h>

_Static_assert(TOKEN_DIGEST_BYTES == DIGEST_BYTES && TOKEN_HEX_CHARS == 2 * DIGEST_BYTES,
               "a token's digest is SHA-256");

void token_new(char ret_token[static TOKEN_CHARS + 1])
{
        memcpy(ret_token, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1);
        random_token(ret_token + sizeof TOKEN_PREFIX - 1, TOKEN_RANDOM_CHARS);
}

int token_digest(const char *token, struct token_digest *ret_digest)
{
        return digest_of(token, strlen(token), ret_digest->bytes);
}

bool token_digest_equal(const struct token_digest *a, const struct token_digest *b)
{
        return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int token_digest_read(const char *hex, struct token_digest *ret_digest)
{
        struct token_digest digest;

        if (strlen(hex) != TOKEN_HEX_CHARS)
                return -EINVAL;
        for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++) {
                int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
                if (high < 0 || low < 0)
                        return -EINVAL;
                digest.bytes[i] = (unsigned char)(high << 4 | low);
        }
        *ret_digest = digest;
        return 0;
}

void token_digest_write(const struct token_digest *digest, char ret_hex[static TOKEN_HEX_CHARS + 1])
{
        hex_write(digest->bytes, TOKEN_DIGEST_BYTES, ret_hex);
}
