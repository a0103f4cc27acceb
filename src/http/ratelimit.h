/*
 * ratelimit: a client's limits as header fields, RateLimit-Policy and RateLimit
 * (draft-ietf-httpapi-ratelimit-headers-10; lists of RFC 8941 strings with parameters).
 *
 * Pure functions. Thread: any.
 */
#ifndef SOLVEGATE_HTTP_RATELIMIT_H
#define SOLVEGATE_HTTP_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct quota_figures;

#define RATELIMIT_BYTES_MAX 256

/* Whether there is a limit to tell of. */
bool ratelimit_any(const struct quota_figures *figures);

/* `"rate";q=10;w=2, "daily";q=1000;w=86400`: what the limits are, and for how many seconds. */
void ratelimit_policy(const struct quota_figures *figures,
                      char ret_field[static RATELIMIT_BYTES_MAX]);

/*
 * `"rate";r=9;t=1, "daily";r=997;t=3600`: what is left, and in how many seconds all of it is there
 * again.
 */
void ratelimit_left(const struct quota_figures *figures,
                    char ret_field[static RATELIMIT_BYTES_MAX]);

/* How many jobs the bucket would take at once now. Requires limits.rate. */
int64_t ratelimit_bucket(const struct quota_figures *figures);

#endif
