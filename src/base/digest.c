/*
 * digest: see digest.h.
 */
#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

_Static_assert(DIGEST_BYTES <= EVP_MAX_MD_SIZE, "digest_finish() has room for any");

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/*
 * The implementation, fetched once for the process. EVP_sha256() stands for a search for it in each
 * digest, in a table that all threads share (crypto(7), "Implicit fetching").
 */
static const EVP_MD *find_sha256(void)
{
        (void)pthread_once(&sha256_once, fetch_sha256);
        return sha256 ? sha256 : EVP_sha256(); /* NULL: there was no memory */
}

int digest_init(struct digest *digest)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        if (!context || EVP_DigestInit_ex(context, find_sha256(), NULL) != 1) {
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

int digest_hex(const void *bytes, size_t len, char ret_hex[static DIGEST_HEX_BYTES])
{
        unsigned char digest[DIGEST_BYTES];
        int r = digest_of(bytes, len, digest);

        if (r == 0)
                hex_write(digest, sizeof digest, ret_hex);
        return r;
}
