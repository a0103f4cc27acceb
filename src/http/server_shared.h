/*
 * server_shared: what servers of one kind share, and which kinds there are.
 */
#ifndef SOLVEGATE_HTTP_SERVER_SHARED_H
#define SOLVEGATE_HTTP_SERVER_SHARED_H

#include "http/peers.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* So many more at most are accepted, to be refused. */
#define SERVER_CONNECTIONS_BEYOND_LIMIT 256

/* What servers of one kind share. The limits may be changed by a reload. */
struct server_shared {
        _Atomic int connections;     /* open now, on all of them */
        _Atomic int seats;           /* how many of those are within connections_max */
        _Atomic int files;           /* descriptors: connections, and sockets that linger */
        _Atomic int connections_max; /* > 0 */
        _Atomic int beyond_max;      /* > 0: files may be so many more than connections_max */
        _Atomic bool waits; /* beyond that a connection waits in the kernel; otherwise it is
                               closed at once */
        _Atomic int fd_max; /* with waits: it waits also if its descriptor would be higher */
        _Atomic int connections_per_address_max; /* 0: the default, see peers.h */
        bool by_address;                         /* connections of each address are counted */
        struct peers peers;                      /* how many each address has; with by_address */
        _Atomic int64_t handshakes_failed;
        _Atomic int64_t pauses; /* of connections whose bodies come, see pause.h */
};

/* Whom a server is for: which routes it has. */
enum server_kind {
        SERVER_FOR_TOOLS,
        SERVER_FOR_OPERATORS, /* metrics and health; needs no forwarder */
        SERVER_FOR_CONTROL,   /* the admin socket: these, and the control API; likewise */
};

#endif
