/*
 * receive: see receive.h.
 */
#undef _FORTIFY_SOURCE /* with it the C library defines recv() inline */
#include "http/receive.h"

#include "http/connection.h"
#include "http/pause.h"
#include "http/server_private.h"

#include <errno.h>
#include <sys/socket.h>

static _Thread_local struct server *reading; /* NULL: no server has its turn */

void receive_begin(struct server *server)
{
        reading = server;
}

void receive_end(void)
{
        reading = NULL;
}

static struct client_connection *find(int fd, enum receive_layer layer)
{
        struct client_connection *connection =
                reading ? connection_find(reading->connections, fd) : NULL;

        return connection && connection_has_tls(connection) == (layer == RECEIVE_TLS) ? connection
                                                                                      : NULL;
}

bool receive_may_handshake(int fd)
{
        return !find(fd, RECEIVE_TLS) || pause_may_handshake(reading);
}

void receive_handshake_took(int fd, int64_t us)
{
        if (find(fd, RECEIVE_TLS))
                pause_count_handshake(reading, us);
}

/* Reads once. Returns as receive_read(); *ret_all says whether all that came is passed on. */
static ssize_t read_once(const struct receive_call *call, void *bytes, size_t size,
                         int *ret_refused, bool *ret_all)
{
        struct client_connection *connection = find(call->fd, call->layer);

        *ret_all = true;
        *ret_refused = connection ? connection_may_receive(connection) : 0;
        if (*ret_refused < 0)
                return 0;
        size_t held = connection ? connection_held(connection) : 0;
        if (held >= size)
                return connection_release(connection, bytes, size);
        ssize_t got = call->read(call, (char *)bytes + held, size - held);
        if (got <= 0 || !connection)
                return got;
        ssize_t passed = connection_receive(connection, bytes, (size_t)got);
        *ret_all = passed == got + (ssize_t)held;
        if (passed >= 0)
                return passed;
        *ret_refused = (int)passed;
        return 0;
}

ssize_t receive_read(const struct receive_call *call, void *bytes, size_t size, int *ret_refused)
{
        struct client_connection *connection = find(call->fd, call->layer);
        size_t used = 0;
        bool all;

        if (connection && connection_may_receive(connection) < 0) {
                pause_skip(connection);
        } else if (connection && pause_read(connection)) {
                *ret_refused = -EAGAIN;
                return 0;
        }
        do {
                ssize_t got = read_once(call, (char *)bytes + used, size - used, ret_refused, &all);
                if (used > 0 && (got <= 0 || *ret_refused < 0)) {
                        *ret_refused = 0; /* the next call tells */
                        return (ssize_t)used;
                }
                if (got < 0 || *ret_refused < 0 || (got == 0 && all))
                        return got;
                used += (size_t)got;
        } while (!all && used < size);
        return (ssize_t)used;
}

/* recv(2) is recvfrom(2) without the sender's address. */
static ssize_t read_socket(const struct receive_call *call, void *bytes, size_t size)
{
        return recvfrom(call->fd, bytes, size, call->flags, NULL, NULL);
}

RECEIVE_REPLACES ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
        const struct receive_call call = {
                .fd = fd, .layer = RECEIVE_SOCKET, .read = read_socket, .flags = flags};
        int refused;
        ssize_t got = receive_read(&call, bytes, size, &refused);

        if (refused == 0)
                return got; /* errno is set */
        errno = -refused;
        return -1;
}
