/*
 * peers: see peers.h.
 */
#include "http/peers.h"

#include "base/address.h"
#include "base/hash_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct peer {
        struct in6_addr address; /* the key: address_network() */
        _Atomic int connections; /* written under peers->mutex */
        _Atomic int known;       /* of these, those of known clients */
        UT_hash_handle hh;       /* guarded by peers->mutex */
};

static struct peer *add_locked(struct peers *peers, const struct in6_addr *address)
{
        struct peer *peer = calloc(1, sizeof *peer);

        if (!peer)
                return NULL;
        peer->address = *address;
        HASH_ADD(hh, peers->table, address, sizeof peer->address, peer);
        if (!peer->hh.tbl) { /* no memory, see HASH_NONFATAL_OOM */
                free(peer);
                return NULL;
        }
        return peer;
}

struct peer *peers_join(struct peers *peers, const struct sockaddr *address)
{
        struct in6_addr key;
        struct peer *peer;

        if (!address_of(address, &key))
                return NULL;
        key = address_network(key);
        (void)pthread_mutex_lock(&peers->mutex);
        HASH_FIND(hh, peers->table, &key, sizeof key, peer);
        if (!peer)
                peer = add_locked(peers, &key);
        if (peer)
                (void)atomic_fetch_add(&peer->connections, 1);
        (void)pthread_mutex_unlock(&peers->mutex);
        return peer;
}

void peers_leave(struct peers *peers, struct peer *peer)
{
        if (!peer)
                return;
        (void)pthread_mutex_lock(&peers->mutex);
        if (atomic_fetch_sub(&peer->connections, 1) == 1) {
                HASH_DELETE(hh, peers->table, peer);
                free(peer);
        }
        (void)pthread_mutex_unlock(&peers->mutex);
}

int peer_connections(const struct peer *peer)
{
        return peer ? atomic_load(&peer->connections) : 0;
}

void peer_count_known(struct peer *peer, int change)
{
        if (peer)
                (void)atomic_fetch_add(&peer->known, change);
}

int peer_unknown_connections(const struct peer *peer)
{
        return peer ? atomic_load(&peer->connections) - atomic_load(&peer->known) : 0;
}

bool peer_is_loopback(const struct peer *peer)
{
        return address_is_loopback(&peer->address);
}

void peer_address(const struct sockaddr *address, char ret_text[static JOB_ADDRESS_CHARS])
{
        struct in6_addr ip;

        ret_text[0] = '\0';
        if (address && address->sa_family == AF_UNIX)
                (void)strcpy(ret_text, "unix");
        else if (address_of(address, &ip) && IN6_IS_ADDR_V4MAPPED(&ip))
                (void)inet_ntop(AF_INET, &ip.s6_addr[12], ret_text, JOB_ADDRESS_CHARS);
        else if (address_of(address, &ip))
                (void)inet_ntop(AF_INET6, &ip, ret_text, JOB_ADDRESS_CHARS);
}
