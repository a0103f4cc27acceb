/*
 * pool: the kept connections to one upstream on one loop: a curl multi handle, its sockets, and the
 * transfers on them.
 *
 * A pool is used until it is retired: when it is too old, so that a changed address in DNS is found
 * and no connection lives for ever; when the caller wants a fresh connection; after a reload; or
 * when a connection of it has gone silent. A retired pool begins nothing more. The transfers on it
 * go on to their end, and with the last one it is freed, with its connections and its DNS cache.
 * So no connection is taken from a transfer that still uses it, and none carries a request that
 * ought to go elsewhere.
 *
 * Only transfer includes this header. Thread: the loop's.
 */
#ifndef SOLVEGATE_UPSTREAM_POOL_H
#define SOLVEGATE_UPSTREAM_POOL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct pool;
struct pools;
struct transfer;
struct upstream_socket;

/* What happens to transfers; called within pool_enter(). */
struct pool_events {
        /* libcurl has ended it. */
        void (*finished)(struct transfer *transfer, CURLcode code);
        /* What had arrived is read: a body that waits for that continues. */
        void (*proceed)(struct transfer *transfer);
};

/* events is static. Returns 0 or -ENOMEM. The caller frees with pools_free(). */
int pools_new(struct loop *loop, const struct pool_events *events, struct pools **ret_pools);

/* Frees all. Requires that there is no transfer. Takes NULL. */
void pools_free(struct pools *pools);

/* See transfer_limit_files(). */
void pool_limit_files(int fd_max);

/* Retires all: what is begun from now on is begun on new connections, after a new name look-up. */
void pools_retire(struct pools *pools);

/*
 * The pool of an upstream for a kind of request. owner is compared only; http2 is part of what is
 * asked for, so that the two protocols never share a connection. fresh: one without connections.
 * Returns NULL without memory.
 */
struct pool *pools_get(struct pools *pools, const void *owner, bool http2, bool fresh);

struct loop *pool_loop(const struct pool *pool);

/* Begins and ends a transfer's being in the pool. A pool may be freed when one is removed, unless
 * pool_enter() holds it. pool_add returns 0 or -ENOMEM. */
int pool_add(struct pool *pool, struct transfer *transfer);
void pool_remove(struct pool *pool, struct transfer *transfer);

/* Makes a request anew that libcurl has ended. Returns 0 or -ENOMEM; it is in the pool either way.
 */
int pool_restart(struct pool *pool, struct transfer *transfer);

/* The transfers, a list by next. */
struct transfer *pool_transfers(struct pool *pool);

/* Between these two, the pool is not freed. */
void pool_enter(struct pool *pool);
void pool_leave(struct pool *pool);

/* Begins nothing more here, and closes what is idle. Frees the pool unless it has transfers or is
 * held. Not to be called from within libcurl. */
void pool_retire(struct pool *pool);

/* The same for all pools of its upstream: what made one connection silent does so to others. */
void pool_retire_upstream(struct pool *pool);

/*
 * Reads what has arrived on the sockets, and finishes the transfers that are complete by it, which
 * may free any transfer of the pool. Requires pool_enter().
 */
void pool_read_arrived(struct pool *pool);

/* The connection with these addresses and ports, as libcurl names them, or NULL. */
struct upstream_socket *pool_socket(struct pool *pool, const char *remote_ip, int remote_port,
                                    const char *local_ip, int local_port);

/* Whether data came on an idle connection since this was asked last. libcurl 8 closes such a
 * connection before it asks transfer_on_connected(). */
bool pool_take_stray(struct pool *pool);

/* For transfer_set_options(): the functions by which libcurl opens and closes sockets. */
void pool_set_socket_options(struct pool *pool, struct transfer *transfer);

#endif
