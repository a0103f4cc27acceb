/*
 * sha256: one digest of one buffer, and its text. Thread: any.
 */
#ifndef SOLVEGATE_SIM_SHA256_H
#define SOLVEGATE_SIM_SHA256_H

#include <stddef.h>

#define SIM_SHA256_BYTES     32
#define SIM_SHA256_HEX_BYTES 65 /* 64 digits and NUL */

/* Returns 0 or -ENOMEM. */
int sim_sha256(const void *bytes, size_t len, unsigned char ret_digest[static SIM_SHA256_BYTES]);

/* The same, as lower-case hexadecimal. */
int sim_sha256_hex(const void *bytes, size_t len, char ret_hex[static SIM_SHA256_HEX_BYTES]);

#endif
