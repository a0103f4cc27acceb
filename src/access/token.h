/*
 * token: what a client shows to say who it is. Only its SHA-256 is kept anywhere.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_ACCESS_TOKEN_H
#define SOLVEGATE_ACCESS_TOKEN_H

#include "base/secret.h"

#include <stdbool.h>

/* A token of ours: a prefix that a scanner for leaked secrets can look for, and 240 random bits. */
#define TOKEN_PREFIX       SECRET_TOKEN_PREFIX
#define TOKEN_RANDOM_CHARS 40
#define TOKEN_CHARS        (sizeof TOKEN_PREFIX - 1 + TOKEN_RANDOM_CHARS)

/* What a client sends may be longer, if an operator chose it himself; beyond this it is none. */
#define TOKEN_BYTES_MAX 512

#define TOKEN_DIGEST_BYTES 32
#define TOKEN_HEX_CHARS    64

struct token_digest {
        unsigned char bytes[TOKEN_DIGEST_BYTES];
};

/* Makes a token. The caller wipes it (explicit_bzero(3)). */
void token_new(char ret_token[static TOKEN_CHARS + 1]);

/* The SHA-256 of a token. Returns 0 or -ENOMEM. */
int token_digest(const char *token, struct token_digest *ret_digest);

/* Tells whether two are equal, in a time that does not depend on where they differ. */
bool token_digest_equal(const struct token_digest *a, const struct token_digest *b);

/* From and to hexadecimal digits, of either case. Reading returns 0 or -EINVAL. */
int token_digest_read(const char *hex, struct token_digest *ret_digest);
void token_digest_write(const struct token_digest *digest,
                        char ret_hex[static TOKEN_HEX_CHARS + 1]);

#endif
