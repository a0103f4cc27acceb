/*
 * sha256: see sha256.h.
 */
#include "sim/sha256.h"

int sim_sha256_hex(const void *bytes, size_t len, char ret_hex[static SIM_SHA256_HEX_BYTES])
{
        static const char digits[] = "0123456789abcdef";
        unsigned char digest[DIGEST_BYTES];

        int r = digest_of(bytes, len, digest);
        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof digest; i++) {
                ret_hex[2 * i] = digits[digest[i] >> 4];
                ret_hex[2 * i + 1] = digits[digest[i] & 15];
        }
        ret_hex[SIM_SHA256_HEX_BYTES - 1] = '\0';
        return 0;
}
