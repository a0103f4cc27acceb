/*
 * socket: see socket.h.
 */
#include "upstream/socket.h"

#include "base/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Sockets of IP lead to an upstream; libcurl's own are of another family. */
static bool is_connection(int fd)
{
        int domain = 0;
        socklen_t len = sizeof domain;

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
               (domain == AF_INET || domain == AF_INET6);
}

struct upstream_socket *upstream_socket_new(struct pool *pool, int fd)
{
        struct upstream_socket *socket = calloc(1, sizeof *socket);

        if (!socket)
                return NULL;
        socket->fd = fd;
        socket->pool = pool;
        socket->connection = is_connection(fd);
        return socket;
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void upstream_socket_free(struct upstream_socket *socket)
{
        if (socket->polled)
                uv_close((uv_handle_t *)&socket->poll, on_closed);
        else
                free(socket);
}

/* Returns 0 or -errno. */
static int begin_polling(struct upstream_socket *socket, struct loop *loop)
{
        int r = socket->polled ? 0 : uv_poll_init_socket(loop_uv(loop), &socket->poll, socket->fd);

        if (r == 0) {
                socket->polled = true;
                socket->poll.data = socket;
        }
        return r;
}

int upstream_socket_watch(struct upstream_socket *socket, struct loop *loop, int events,
                          uv_poll_cb callback)
{
        /* libuv makes two system calls of each start, also where nothing changes. */
        if (socket->events == events)
                return 0;
        int r = begin_polling(socket, loop);
        if (r == 0)
                r = uv_poll_start(&socket->poll, events, callback);
        socket->events = r < 0 ? 0 : events;
        return r;
}

void upstream_socket_ignore(struct upstream_socket *socket)
{
        if (socket->events != 0)
                (void)uv_poll_stop(&socket->poll);
        socket->events = 0;
}

/* Writes an address as libcurl does (Curl_addr2string). Returns whether it is one of IP. */
static bool name_address(const struct sockaddr_storage *address, char ip[static INET6_ADDRSTRLEN],
                         uint16_t *ret_port)
{
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

        if (address->ss_family == AF_INET) {
                *ret_port = ntohs(v4->sin_port);
                return inet_ntop(AF_INET, &v4->sin_addr, ip, INET6_ADDRSTRLEN) != NULL;
        }
        if (address->ss_family == AF_INET6) {
                *ret_port = ntohs(v6->sin6_port);
                return inet_ntop(AF_INET6, &v6->sin6_addr, ip, INET6_ADDRSTRLEN) != NULL;
        }
        return false;
}

/* Learns the addresses. */
static bool name_both_ends(struct upstream_socket *socket)
{
        struct sockaddr_storage local, remote;
        socklen_t local_len = sizeof local, remote_len = sizeof remote;

        if (getsockname(socket->fd, (struct sockaddr *)&local, &local_len) < 0 ||
            getpeername(socket->fd, (struct sockaddr *)&remote, &remote_len) < 0)
                return false;
        return name_address(&local, socket->local_ip, &socket->local_port) &&
               name_address(&remote, socket->remote_ip, &socket->remote_port);
}

bool upstream_socket_is(struct upstream_socket *socket, const char *remote_ip, int remote_port,
                        const char *local_ip, int local_port)
{
        bool same = socket->connection && (socket->named || name_both_ends(socket)) &&
                    socket->local_port == local_port && socket->remote_port == remote_port &&
                    strcmp(socket->local_ip, local_ip) == 0 &&
                    strcmp(socket->remote_ip, remote_ip) == 0;

        /* Its descriptor is of an open socket from now on until libcurl says that it closes it. */
        socket->named = socket->named || same;
        return same;
}

enum socket_input upstream_socket_peek(int fd)
{
        char byte;
        ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        if (n > 0)
                return SOCKET_DATA;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                return SOCKET_EMPTY;
        return SOCKET_CLOSED;
}
