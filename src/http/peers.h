/*
 * peers: how many connections each client address has, over all threads.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_HTTP_PEERS_H
#define SOLVEGATE_HTTP_PEERS_H

#include <pthread.h>

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
 * Counts one more connection of an address of IPv4 or IPv6; an IPv4 address that is mapped into
 * IPv6 is the same as the plain one. Returns NULL for other addresses, which are not counted, and
 * without memory.
 */
struct peer *peers_join(struct peers *peers, const struct sockaddr *address);

/* The connection is closed. Takes NULL. The peer must not be used afterwards. */
void peers_leave(struct peers *peers, struct peer *peer);

/* How many connections a peer has; 0 for NULL. */
int peer_connections(const struct peer *peer);

#endif
