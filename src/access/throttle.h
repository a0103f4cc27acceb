/*
 * throttle: failed tokens, by address. Who shows a wrong one now and then is answered at once; who
 * goes on is answered later and later. A right token is never held up.
 *
 * An IPv6 address counts by its /64, which one host can choose from. The table has a ceiling; the
 * address that failed longest ago makes room. Has its own mutex, a leaf. Thread: any.
 */
#ifndef SOLVEGATE_ACCESS_THROTTLE_H
#define SOLVEGATE_ACCESS_THROTTLE_H

#include <stdint.h>

#define THROTTLE_FREE         3   /* failures that are answered at once */
#define THROTTLE_FIRST_MS     100 /* the pause after those; it doubles */
#define THROTTLE_PAUSE_MAX_MS 5000
#define THROTTLE_FORGET_MS    10000 /* after each such time one failure is forgotten */
#define THROTTLE_ADDRESSES    4096
#define THROTTLE_WAITING      8 /* how many answers to one address may be held at once */

struct throttle;

/* Returns 0 or -ENOMEM. */
int throttle_new(struct throttle **ret_throttle);
void throttle_free(struct throttle *throttle);

/*
 * A token from this address, in numbers, was wrong. Returns how long its answer is to be held, in
 * ms, or -EBUSY when so many are held already that this one is to be turned away. For a pause above
 * 0, throttle_end() is to be called when it is over.
 */
int64_t throttle_fail(struct throttle *throttle, const char *address, int64_t now_ms);
void throttle_end(struct throttle *throttle, const char *address);

#endif
