/*
 * sha256: see sha256.h.
 */
#include "sim/sha256.h"

int sim_sha256_hex(const void *bytes, size_t len, char ret_hex[static SIM_SHA256_HEX_BYTES])
{
        unsigned char digest[DIGEST_BYTES];
        int r = digest_of(bytes, len, digest);

        if (r == 0)
                hex_write(digest, sizeof digest, ret_hex);
        return r;
}
