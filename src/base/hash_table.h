/*
 * hash_table: uthash with a keyed hash; every table includes this header, never <uthash.h>.
 *
 * Many keys are chosen by somebody outside: Idempotency-Keys, IPv6 addresses, IDs of an upstream.
 * uthash's own hash is public, so keys can be crafted that all share one chain. Here the hash is
 * SipHash-2-4 (https://www.aumasson.jp/siphash/siphash.pdf) with a secret of the process. It is
 * computed here, since libcrypto's needs a context for each thread, and can fail without memory.
 */
#ifndef SOLVEGATE_BASE_HASH_TABLE_H
#define SOLVEGATE_BASE_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SECRET_BYTES 16

/* SipHash-2-4 of a text. Thread: any. */
uint64_t hash_siphash(const unsigned char key[static HASH_SECRET_BYTES], const void *text,
                      size_t len);

/* The hash of a key by the secret of this process. Thread: any. */
unsigned hash_keyed(const void *key, size_t len);

#define HASH_FUNCTION(key, len, ret_hash) ((ret_hash) = hash_keyed((key), (len)))

#include <uthash.h>

#endif
