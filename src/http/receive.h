/*
 * receive: the bytes of clients pass here before libmicrohttpd sees them.
 *
 * libmicrohttpd has no hook for received bytes. It reads with recv(2) and gnutls_record_recv(3),
 * and the dynamic linker looks both up in the program first (ld.so(8)). So they are defined here.
 * While a server has its turn they hand what they have read to connection_receive(), which checks
 * it and may hold it back. (gnutls_record_recv() is in tls.c, the only file that knows GnuTLS.) At
 * any other time, and for any other socket, they behave as usual.
 *
 * If libmicrohttpd read by other means, a request would arrive whose header was not checked; such a
 * request is not served (connection_header_checked()).
 *
 * Thread: any; what receive_begin() says counts for the calling thread.
 */
#ifndef SOLVEGATE_HTTP_RECEIVE_H
#define SOLVEGATE_HTTP_RECEIVE_H

#include <stddef.h>
#include <sys/types.h>

struct connection_table;

/* For the definition of a function that libraries are to call in place of their own. */
#define RECEIVE_REPLACES __attribute__((visibility("default")))

/* libmicrohttpd may read from the table's connections until receive_end(). */
void receive_begin(struct connection_table *table);
void receive_end(void);

/* Where a connection's HTTP is read: GnuTLS reads its records with recv(2), too, unchecked. */
enum receive_layer {
        RECEIVE_SOCKET,
        RECEIVE_TLS,
};

/*
 * Whether the calling library may read from a socket: 0 or -errno. Sockets that are not of the
 * table, or whose HTTP is read at the other layer, may always be read.
 */
int receive_allowed(int fd, enum receive_layer layer);

/*
 * Checks what was read from a socket, len > 0 bytes. Returns how many of them the library gets,
 * from the first one on; or -errno, which it gets in their place.
 */
ssize_t receive_check(int fd, enum receive_layer layer, const void *bytes, size_t len);

#endif
