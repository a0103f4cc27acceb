/*
 * random: see random.h.
 */
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#define TOKEN_CHARS_MAX 64

int random_bytes(void *buf, size_t len)
{
        char *next = buf;

        while (len > 0) {
                ssize_t n = getrandom(next, len, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                next += n;
                len -= (size_t)n;
        }
        return 0;
}

int random_token(char *ret_token, size_t chars)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        unsigned char bytes[TOKEN_CHARS_MAX];

        assert(chars <= sizeof bytes);
        int r = random_bytes(bytes, chars);
        if (r < 0)
                return r;
        for (size_t i = 0; i < chars; i++)
                ret_token[i] = alphabet[bytes[i] % 64];
        ret_token[chars] = '\0';
        return 0;
}

int random_below(int64_t bound, int64_t *ret_value)
{
        uint64_t value, range = (uint64_t)bound;

        assert(bound > 0);
        /* What lies beyond the last whole multiple of range would make small numbers likelier. */
        uint64_t beyond = UINT64_MAX - UINT64_MAX % range;
        do {
                int r = random_bytes(&value, sizeof value);
                if (r < 0)
                        return r;
        } while (value >= beyond);
        *ret_value = (int64_t)(value % range);
        return 0;
}
