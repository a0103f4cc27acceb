/*
 * socket: see socket.h.
 */
#include "upstream/socket.h"

#include "base/loop.h"
#include "upstream/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int upstream_socket_new(struct pool *pool, int fd, bool connection,
                        struct upstream_socket **ret_socket)
{
        struct upstream_socket *socket = calloc(1, sizeof *socket);

        if (!socket)
                return -ENOMEM;
        socket->fd = fd;
        socket->pool = pool;
        socket->connection = connection;
        socket->poll.data = socket;
        int r = uv_poll_init_socket(loop_uv(pool_loop(pool)), &socket->poll, fd);
        if (r < 0) {
                free(socket);
                return r;
        }
        *ret_socket = socket;
        return 0;
}

static void on_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void upstream_socket_free(struct upstream_socket *socket)
{
        (void)uv_poll_stop(&socket->poll);
        uv_close((uv_handle_t *)&socket->poll, on_closed);
}

int upstream_socket_watch(struct upstream_socket *socket, int events, uv_poll_cb callback)
{
        /* libuv makes two system calls of each start, also where nothing changes. */
        if (socket->events == events)
                return 0;
        int r = uv_poll_start(&socket->poll, events, callback);
        socket->events = r < 0 ? 0 : events;
        return r;
}

void upstream_socket_ignore(struct upstream_socket *socket)
{
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

/* Learns the addresses, which do not change once it is connected. */
static bool name_both_ends(struct upstream_socket *socket)
{
        struct sockaddr_storage local, remote;
        socklen_t local_len = sizeof local, remote_len = sizeof remote;

        if (socket->named)
                return true;
        if (getsockname(socket->fd, (struct sockaddr *)&local, &local_len) < 0 ||
            getpeername(socket->fd, (struct sockaddr *)&remote, &remote_len) < 0)
                return false;
        socket->named = name_address(&local, socket->local_ip, &socket->local_port) &&
                        name_address(&remote, socket->remote_ip, &socket->remote_port);
        return socket->named;
}

bool upstream_socket_is(struct upstream_socket *socket, const char *remote_ip, int remote_port,
                        const char *local_ip, int local_port)
{
        return socket->connection && name_both_ends(socket) && socket->local_port == local_port &&
               socket->remote_port == remote_port && strcmp(socket->local_ip, local_ip) == 0 &&
               strcmp(socket->remote_ip, remote_ip) == 0;
}

enum socket_input upstream_socket_input(const struct upstream_socket *socket)
{
        char byte;
        ssize_t n = recv(socket->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        if (n > 0)
                return SOCKET_DATA;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                return SOCKET_EMPTY;
        return SOCKET_CLOSED;
}

bool upstream_socket_unacknowledged(const struct upstream_socket *socket)
{
        int bytes = 0;

        return ioctl(socket->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

bool upstream_socket_silent(const struct upstream_socket *socket, int64_t duration_ms)
{
        struct tcp_info info;
        socklen_t len = sizeof info;

        memset(&info, 0, sizeof info);
        return getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
               (int64_t)info.tcpi_last_data_recv >= duration_ms;
}
