/*
 * body: the bytes of a request body, and the ceiling over all of them.
 *
 * Every body in memory, while it is received, waits, or is sent, is counted in one pool
 * (limits.queue_bytes). A body with a known length is counted whole before its first byte, so a
 * refusal costs nothing; one of unknown length (chunked) as it grows.
 *
 * A body belongs to one thread at a time; the pool may be used by any thread.
 */
#ifndef SOLVEGATE_JOB_BODY_H
#define SOLVEGATE_JOB_BODY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct body_pool {
        _Atomic int64_t bytes;  /* counted now */
        int64_t max_bytes;      /* of all bodies */
        int64_t body_max_bytes; /* of one body */
};

struct body {
        char *data;
        size_t len;
        size_t counted; /* bytes counted in the pool, which is also the capacity */
        struct body_pool *pool;
};

#define BODY_LENGTH_UNKNOWN (-1)

/*
 * Makes an empty body for length bytes. The caller frees it with body_free(), before the pool goes.
 * Returns 0, -EMSGSIZE (longer than one body may be), -ENOBUFS (the pool is full) or -ENOMEM.
 */
int body_new(struct body_pool *pool, int64_t length, struct body **ret_body);

/* Adds bytes. Returns as body_new(). On failure the body is as it was. */
int body_append(struct body *body, const void *bytes, size_t len);

/* Frees and gives its bytes back to the pool. Takes NULL. Thread: any. */
void body_free(struct body *body);

#endif
