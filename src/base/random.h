/*
 * random: unguessable text, from arc4random_buf(3). That waits at boot until the kernel's generator
 * is seeded, gives a forked child other bytes, and ends the process if the kernel gives none.
 * Thread: any.
 */
#ifndef SOLVEGATE_BASE_RANDOM_H
#define SOLVEGATE_BASE_RANDOM_H

#include <stddef.h>

/*
 * Writes chars characters of the URL-safe base64 alphabet (RFC 4648, section 5) and a NUL; each
 * carries 6 random bits.
 */
void random_token(char *ret_token, size_t chars);

#endif
