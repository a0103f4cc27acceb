/*
 * digest: SHA-256 (FIPS 180-4), by libcrypto.
 *
 * A struct digest is a value: whoever holds it frees it with digest_done(). It can be used for
 * one text after another, which costs a tenth of a fresh one. Not locked; it belongs to one thread.
 */
#ifndef SOLVEGATE_BASE_DIGEST_H
#define SOLVEGATE_BASE_DIGEST_H

#include "base/hex.h"

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_BYTES     32
#define DIGEST_HEX_BYTES HEX_BYTES(DIGEST_BYTES)

struct evp_md_ctx_st;

struct digest {
        struct evp_md_ctx_st *context; /* libcrypto's EVP_MD_CTX */
        bool failed;                   /* the text was not taken whole */
};

/* Starts a text. Returns 0 or -ENOMEM, the only way in which libcrypto fails here. */
int digest_init(struct digest *digest);

/* Frees. Takes a zeroed struct too. */
void digest_done(struct digest *digest);

/* Appends to the text. A failure is told by digest_finish(), so that a caller looks once. */
void digest_update(struct digest *digest, const void *bytes, size_t len);

/*
 * Writes the digest of the text and starts the next text, after a failure too. Returns 0, or
 * -ENOMEM when anything failed since the text was started.
 */
int digest_finish(struct digest *digest, unsigned char ret_digest[static DIGEST_BYTES]);

/* The digest of one text, and the same in hexadecimal digits. Returns 0 or -ENOMEM. Thread: any. */
int digest_of(const void *bytes, size_t len, unsigned char ret_digest[static DIGEST_BYTES]);
int digest_hex(const void *bytes, size_t len, char ret_hex[static DIGEST_HEX_BYTES]);

#endif
