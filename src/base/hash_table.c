/*
 * hash_table: see hash_table.h.
 */
#include "base/hash_table.h"

#include <pthread.h>
#include <stdlib.h>

#define WORD_BYTES 8

static pthread_once_t secret_once = PTHREAD_ONCE_INIT;
static unsigned char secret[HASH_SECRET_BYTES]; /* immutable once it is made */

static void make_secret(void)
{
        arc4random_buf(secret, sizeof secret);
}

struct state {
        uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, int bits)
{
        return word << bits | word >> (64 - bits);
}

static void mix(struct state *s, int rounds)
{
        while (rounds-- > 0) {
                s->v0 += s->v1;
                s->v1 = rotate(s->v1, 13) ^ s->v0;
                s->v0 = rotate(s->v0, 32);
                s->v2 += s->v3;
                s->v3 = rotate(s->v3, 16) ^ s->v2;
                s->v0 += s->v3;
                s->v3 = rotate(s->v3, 21) ^ s->v0;
                s->v2 += s->v1;
                s->v1 = rotate(s->v1, 17) ^ s->v2;
                s->v2 = rotate(s->v2, 32);
        }
}

/* Up to eight bytes, the first one lowest. */
static uint64_t read_word(const unsigned char *bytes, size_t len)
{
        uint64_t word = 0;

        for (size_t i = 0; i < len; i++)
                word |= (uint64_t)bytes[i] << (8 * i);
        return word;
}

static void take_word(struct state *s, uint64_t word)
{
        s->v3 ^= word;
        mix(s, 2);
        s->v0 ^= word;
}

uint64_t hash_siphash(const unsigned char key[static HASH_SECRET_BYTES], const void *text,
                      size_t len)
{
        const uint64_t k0 = read_word(key, WORD_BYTES),
                       k1 = read_word(key + WORD_BYTES, WORD_BYTES);
        struct state s = {
                k0 ^ UINT64_C(0x736f6d6570736575),
                k1 ^ UINT64_C(0x646f72616e646f6d),
                k0 ^ UINT64_C(0x6c7967656e657261),
                k1 ^ UINT64_C(0x7465646279746573),
        };
        const unsigned char *bytes = text;
        size_t rest = len % WORD_BYTES;

        for (size_t i = 0; i < len - rest; i += WORD_BYTES)
                take_word(&s, read_word(bytes + i, WORD_BYTES));
        uint64_t last = (uint64_t)len << 56;
        if (rest > 0)
                last |= read_word(bytes + len - rest, rest);
        take_word(&s, last);
        s.v2 ^= 0xff;
        mix(&s, 4);
        return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

unsigned hash_keyed(const void *key, size_t len)
{
        (void)pthread_once(&secret_once, make_secret);
        return (unsigned)hash_siphash(secret, key, len);
}
