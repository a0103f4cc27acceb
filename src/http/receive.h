/*
 * receive: the bytes of clients pass here before libmicrohttpd sees them.
 *
 * libmicrohttpd has no hook for received bytes. It reads with recv(2) and gnutls_record_recv(3),
 * and the dynamic linker looks both up in the program first (ld.so(8)). So they are defined here.
 * While a server has its turn they hand what they have read to connection_receive(), which checks
 * it and may hold it back. (gnutls_record_recv() is in tls_receive.c.) At any
 * other time, and for any other socket, they behave as usual. gnutls_handshake(3) is defined in the
 * same way, because a turn does only so much of handshakes (pause.h).
 *
 * If libmicrohttpd read by other means, a request would arrive whose header was not checked; such a
 * request is not served (connection_header_checked()).
 *
 * Thread: any; what receive_begin() says counts for the calling thread.
 */
#ifndef SOLVEGATE_HTTP_RECEIVE_H
#define SOLVEGATE_HTTP_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server;

/* For the definition of a function that libraries are to call in place of their own. */
#define RECEIVE_REPLACES __attribute__((visibility("default")))

/* libmicrohttpd may read from the server's connections until receive_end(). */
void receive_begin(struct server *server);
void receive_end(void);

/* Where a connection's HTTP is read: GnuTLS reads its records with recv(2), too, unchecked. */
enum receive_layer {
        RECEIVE_SOCKET,
        RECEIVE_TLS,
};

/* How the calling library reads, see receive_read(). */
struct receive_call {
        int fd;
        enum receive_layer layer;
        ssize_t (*read)(const struct receive_call *call, void *bytes, size_t size);
        void *session; /* for read() */
        int flags;     /* likewise */
};

/*
 * Reads what the library may have. Sockets that are not of the table, or whose HTTP is read at the
 * other layer, are read with one read(), unchecked. Where something of what came is not passed on,
 * the rest of the space is filled by further ones: the library takes less than it asked for as a
 * sign that there is nothing more. In a turn that has done enough, a connection is paused in place
 * of that (pause.h). Returns what read() does; or 0 with -errno in *ret_refused, which the library
 * gets in place of bytes.
 */
ssize_t receive_read(const struct receive_call *call, void *bytes, size_t size, int *ret_refused);

/*
 * Returns whether the TLS handshake of a socket may go on in this turn (pause.h). It may if the
 * socket is not a connection of the server. The second function says how long a step took in which
 * the handshake went on, in microseconds.
 */
bool receive_may_handshake(int fd);
void receive_handshake_took(int fd, int64_t us);

#endif
