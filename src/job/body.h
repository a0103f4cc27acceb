/*
 * body: the bytes of a request body, and the ceiling over all of them.
 *
 * Every body in memory, while it is received, waits, or is sent, is counted in one pool
 * (limits.queue_bytes). A body with a known length is counted whole before its first byte, so a
 * refusal costs nothing; one of unknown length (chunked) as it grows.
 *
 * A body is filled by one thread; then it is immutable, and is shared by references: it may be sent
 * and stored at the same time. The pool may be used by any thread.
 */
#ifndef SOLVEGATE_JOB_BODY_H
#define SOLVEGATE_JOB_BODY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct body_pool {
        _Atomic int64_t bytes;  /* counted now */
        _Atomic int64_t owners; /* that have bytes in it; counted after these, so it may lag */
        /* may be changed at any time; what is there already stays */
        _Atomic int64_t max_bytes;      /* of all bodies */
        _Atomic int64_t spare_bytes;    /* of these, the last, for owners that have little */
        _Atomic int64_t body_max_bytes; /* of one body */
};

/*
 * What one owner has in a pool. An owner with little is given the spare bytes too, so it finds room
 * when another has filled the rest. Little is, with the new bytes, no more than one body may be, or
 * than the spare bytes divided by the number of owners and one more, which may come.
 */
struct body_share {
        _Atomic int64_t bytes;
};

struct body {
        _Atomic unsigned references;
        char *data;
        size_t len;
        size_t counted; /* bytes counted in the pool, which is also the capacity */
        struct body_pool *pool;
        struct body_share *share; /* NULL: not counted in any */
};

#define BODY_LENGTH_UNKNOWN (-1)

/*
 * Makes an empty body for length bytes, with one reference. It counts in its owner's share; without
 * one it is treated as that of an owner that has much. All are dropped before the pool and the
 * share go. Returns 0, -EMSGSIZE (longer than one body may be), -ENOBUFS (the pool is full) or
 * -ENOMEM.
 */
int body_new(struct body_pool *pool, struct body_share *share, int64_t length,
             struct body **ret_body);

/* Adds bytes. Returns as body_new(). On failure the body is as it was. */
int body_append(struct body *body, const void *bytes, size_t len);

/*
 * The same for a body that was taken long ago and is read back from disk: counted in the pool, but
 * in no share, and not held to the ceilings. Each slot of an account has one at most. Returns 0 or
 * -ENOMEM.
 */
int body_new_beyond(struct body_pool *pool, size_t length, struct body **ret_body);

/* Takes another reference. Thread: any that holds one. */
struct body *body_ref(struct body *body);

/* Drops one; the last frees the body and gives its bytes back. Takes NULL. Thread: any. */
void body_unref(struct body *body);

#endif
