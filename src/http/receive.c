/*
 * receive: see receive.h.
 */
#include "http/receive.h"

#include "http/server_private.h"

#include <errno.h>
#include <sys/socket.h>

static _Thread_local struct connection_table *reading; /* NULL: no server has its turn */

void receive_begin(struct connection_table *table)
{
        reading = table;
}

void receive_end(void)
{
        reading = NULL;
}

static struct client_connection *find(int fd, enum receive_layer layer)
{
        struct client_connection *connection = reading ? connection_find(reading, fd) : NULL;

        return connection && connection_layer(connection) == layer ? connection : NULL;
}

int receive_allowed(int fd, enum receive_layer layer)
{
        const struct client_connection *connection = find(fd, layer);

        return connection ? connection_may_receive(connection) : 0;
}

ssize_t receive_check(int fd, enum receive_layer layer, const void *bytes, size_t len)
{
        struct client_connection *connection = find(fd, layer);

        return connection ? connection_receive(connection, bytes, len) : (ssize_t)len;
}

/* recv(2) is recvfrom(2) without the sender's address. */
RECEIVE_REPLACES ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
        ssize_t got = receive_allowed(fd, RECEIVE_SOCKET);

        if (got == 0) {
                got = recvfrom(fd, bytes, size, flags, NULL, NULL);
                if (got <= 0)
                        return got; /* errno is set */
                got = receive_check(fd, RECEIVE_SOCKET, bytes, (size_t)got);
        }
        if (got >= 0)
                return got;
        errno = (int)-got;
        return -1;
}
