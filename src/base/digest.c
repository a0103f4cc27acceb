/*
 * digest: see digest.h.
 */
#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

_Static_assert(DIGEST_BYTES <= EVP_MAX_MD_SIZE, "digest_finish() has room for any");

int digest_init(struct digest *digest)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
                EVP_MD_CTX_free(context);
                return -ENOMEM;
        }
        *digest = (struct digest){.context = context};
        return 0;
}

void digest_done(struct digest *digest)
{
        EVP_MD_CTX_free(digest->context);
        *digest = (struct digest){0};
}

void digest_update(struct digest *digest, const void *bytes, size_t len)
{
        if (!digest->failed)
                digest->failed = EVP_DigestUpdate(digest->context, bytes, len) != 1;
}

int digest_finish(struct digest *digest, unsigned char ret_digest[static DIGEST_BYTES])
{
        unsigned char bytes[EVP_MAX_MD_SIZE];
        bool good = !digest->failed && EVP_DigestFinal_ex(digest->context, bytes, NULL) == 1;

        /* Without a type it starts again with what it has. */
        digest->failed = EVP_DigestInit_ex(digest->context, NULL, NULL) != 1;
        if (!good)
                return -ENOMEM;
        memcpy(ret_digest, bytes, DIGEST_BYTES);
        return 0;
}

int digest_of(const void *bytes, size_t len, unsigned char ret_digest[static DIGEST_BYTES])
{
        struct digest digest;
        int r = digest_init(&digest);

        if (r < 0)
                return r;
        digest_update(&digest, bytes, len);
        r = digest_finish(&digest, ret_digest);
        digest_done(&digest);
        return r;
}
