/*
 * sha256: the digest of one buffer as a text. Thread: any.
 */
#ifndef SOLVEGATE_SIM_SHA256_H
#define SOLVEGATE_SIM_SHA256_H

#include "base/digest.h"
#include "base/hex.h"

#include <stddef.h>

#define SIM_SHA256_HEX_BYTES HEX_BYTES(DIGEST_BYTES)

/* Writes the digest as lower-case hexadecimal. Returns 0 or -ENOMEM. */
int sim_sha256_hex(const void *bytes, size_t len, char ret_hex[static SIM_SHA256_HEX_BYTES]);

#endif
