/*
 * random: bytes from the kernel's generator (getrandom(2)). Thread: any.
 */
#ifndef SOLVEGATE_BASE_RANDOM_H
#define SOLVEGATE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills buf with unguessable bytes. Returns 0 or -errno. */
int random_bytes(void *buf, size_t len);

/*
 * Writes chars characters of the URL-safe base64 alphabet (RFC 4648, section 5) and a NUL; each
 * carries 6 random bits. chars is at most 64. Returns 0 or -errno.
 */
int random_token(char *ret_token, size_t chars);

/* A number from 0 to bound - 1, each as likely. Requires bound > 0. Returns 0 or -errno. */
int random_below(int64_t bound, int64_t *ret_value);

#endif
