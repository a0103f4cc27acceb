/*
 * peers: how many connections each client address has, over all threads.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_HTTP_PEERS_H
#define SOLVEGATE_HTTP_PEERS_H

#include "job/job.h"

#include <pthread.h>
#include <stdbool.h>

struct peer;
struct sockaddr;

/* Initialized with PEERS_INIT. It holds nothing when every peer has left. */
struct peers {
        pthread_mutex_t mutex;
        struct peer *table; /* guarded by mutex */
};

#define PEERS_INIT                                                                                 \
        {                                                                                          \
                .mutex = PTHREAD_MUTEX_INITIALIZER                                                 \
        }

/*
 * Counts one more connection of an address of IPv4 or IPv6. An IPv4 address that is mapped into
 * IPv6 is the same as the plain one. All IPv6 addresses of a /64 count as one, since a host can
 * choose any of them (RFC 4291, 2.5.4); but ::1 counts by itself. Returns NULL for other addresses,
 * which are not counted, and without memory.
 */
struct peer *peers_join(struct peers *peers, const struct sockaddr *address);

/* The connection is closed. Takes NULL. The peer must not be used afterwards. */
void peers_leave(struct peers *peers, struct peer *peer);

/* How many connections a peer has; 0 for NULL. */
int peer_connections(const struct peer *peer);

/* One of its connections belongs to a known client from now on (1), or no longer (-1). Takes NULL.
 */
void peer_count_known(struct peer *peer, int change);

/* How many of its connections belong to no known client; 0 for NULL. */
int peer_unknown_connections(const struct peer *peer);

/* Whether its address is a loopback one: 127.0.0.0/8 or ::1. */
bool peer_is_loopback(const struct peer *peer);

/* Writes an address in numbers; an IPv4 address that is mapped into IPv6 as the former; "unix" for
 * a unix socket. Without an address it is "". */
void peer_address(const struct sockaddr *address, char ret_text[static JOB_ADDRESS_CHARS]);

#endif
