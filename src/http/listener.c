/*
 * listener: the sockets to listen on, see server.h.
 */
#include "http/server.h"

#include "base/strbuf.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 /* net.core.somaxconn bounds it further */

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static int address_parse(const char *text, int port, union address *ret, socklen_t *ret_len)
{
        *ret = (union address){0};
        if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
                ret->v4.sin_family = AF_INET;
                ret->v4.sin_port = htons((uint16_t)port);
                *ret_len = sizeof ret->v4;
                return 0;
        }
        if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
                ret->v6.sin6_family = AF_INET6;
                ret->v6.sin6_port = htons((uint16_t)port);
                *ret_len = sizeof ret->v6;
                return 0;
        }
        return -EINVAL;
}

static void address_set_port(union address *address, const union address *from)
{
        if (address->any.sa_family == AF_INET)
                address->v4.sin_port = from->v4.sin_port;
        else
                address->v6.sin6_port = from->v6.sin6_port;
}

static int set_option(int fd, int level, int option)
{
        int one = 1;

        return setsockopt(fd, level, option, &one, sizeof one) < 0 ? -errno : 0;
}

static int bind_socket(const union address *address, socklen_t len, bool shared, int *ret_fd)
{
        int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        int r = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
        if (r == 0 && shared)
                r = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
        if (r == 0 && address->any.sa_family == AF_INET6)
                r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
        if (r == 0 && bind(fd, &address->any, len) < 0)
                r = -errno;
        if (r < 0) {
                (void)close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

/* Binds without sharing, which fails where anybody listens, and tells the port. */
static int probe(union address *address, socklen_t len)
{
        union address bound = {0};
        int fd, r = bind_socket(address, len, false, &fd);

        if (r < 0)
                return r;
        if (getsockname(fd, &bound.any, &(socklen_t){sizeof bound}) < 0)
                r = -errno;
        else
                address_set_port(address, &bound);
        (void)close(fd);
        return r;
}

static int open_one(const union address *address, socklen_t len, int *ret_fd)
{
        int fd, r = bind_socket(address, len, true, &fd);

        if (r < 0)
                return r;
        if (listen(fd, BACKLOG) < 0) {
                r = -errno;
                (void)close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

static int open_all(const union address *address, socklen_t len, struct listener *listener)
{
        int r = 0;

        for (int i = 0; r == 0 && i < listener->socket_count; i++)
                r = open_one(address, len, &listener->sockets[i]);
        return r;
}

int listener_open(const struct config_listen *config, int count, struct listener *ret_listener,
                  struct strbuf *problem)
{
        struct listener listener = {.socket_count = count};
        union address address;
        socklen_t len;

        listener.sockets = calloc((size_t)count, sizeof *listener.sockets);
        if (!listener.sockets)
                return -ENOMEM;
        for (int i = 0; i < count; i++)
                listener.sockets[i] = -1;
        int r = address_parse(config->address, config->port, &address, &len);
        if (r == 0)
                r = probe(&address, len);
        if (r == 0)
                r = open_all(&address, len, &listener);
        if (r < 0) {
                (void)strbuf_printf(problem, "cannot listen on %s port %d: %s; %s", config->address,
                                    config->port, strerror(-r),
                                    r == -EADDRINUSE ? "stop what listens there or choose another "
                                                       "port"
                                                     : "choose an address of this machine and a "
                                                       "port that is allowed");
                listener_close(&listener);
                return r;
        }
        bool v6 = address.any.sa_family == AF_INET6;
        (void)snprintf(listener.name, sizeof listener.name, "%s%s%s:%d", v6 ? "[" : "",
                       config->address, v6 ? "]" : "",
                       ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port));
        *ret_listener = listener;
        return 0;
}

void listener_close(struct listener *listener)
{
        for (int i = 0; listener->sockets && i < listener->socket_count; i++) {
                if (listener->sockets[i] >= 0)
                        (void)close(listener->sockets[i]);
        }
        free(listener->sockets);
        listener->sockets = NULL;
}
