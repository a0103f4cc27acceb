/*
 * peers: see peers.h.
 */
#include "http/peers.h"

#include "base/hash_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct peer {
        struct in6_addr address; /* of IPv4: mapped (RFC 4291, 2.5.5.2); of IPv6: its /64 */
        _Atomic int connections; /* written under peers->mutex */
        _Atomic int known;       /* of these, those of known clients */
        UT_hash_handle hh;       /* guarded by peers->mutex */
};

#define NETWORK_BYTES 8 /* of an IPv6 address: its /64 */

/* ::1 is in the same /64 as what is mapped, and neither can be chosen by a host. */
static void widen(struct in6_addr *address)
{
        if (!IN6_IS_ADDR_V4MAPPED(address) && !IN6_IS_ADDR_LOOPBACK(address))
                memset(&address->s6_addr[NETWORK_BYTES], 0,
                       sizeof address->s6_addr - NETWORK_BYTES);
}

/* Returns 0, or -EAFNOSUPPORT for other families. */
static int read_address(const struct sockaddr *address, struct in6_addr *ret)
{
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;

        *ret = (struct in6_addr){0};
        if (address && address->sa_family == AF_INET6) {
                memcpy(&v6, address, sizeof v6);
                *ret = v6.sin6_addr;
                widen(ret);
                return 0;
        }
        if (!address || address->sa_family != AF_INET)
                return -EAFNOSUPPORT;
        memcpy(&v4, address, sizeof v4);
        ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
        memcpy(&ret->s6_addr[12], &v4.sin_addr, sizeof v4.sin_addr);
        return 0;
}

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

        if (read_address(address, &key) < 0)
                return NULL;
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
        const struct in6_addr *address = &peer->address;

        return IN6_IS_ADDR_LOOPBACK(address) ||
               (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

void peer_address(const struct sockaddr *address, char ret_text[static JOB_ADDRESS_CHARS])
{
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;

        ret_text[0] = '\0';
        if (!address)
                return;
        if (address->sa_family == AF_UNIX) {
                (void)strcpy(ret_text, "unix");
        } else if (address->sa_family == AF_INET) {
                memcpy(&v4, address, sizeof v4);
                (void)inet_ntop(AF_INET, &v4.sin_addr, ret_text, JOB_ADDRESS_CHARS);
        } else if (address->sa_family == AF_INET6) {
                memcpy(&v6, address, sizeof v6);
                if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
                        (void)inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], ret_text,
                                        JOB_ADDRESS_CHARS);
                else
                        (void)inet_ntop(AF_INET6, &v6.sin6_addr, ret_text, JOB_ADDRESS_CHARS);
        }
}
