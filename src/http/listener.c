/*
 * listener: the sockets to listen on, see listener.h.
 */
#include "http/listener.h"

#include "base/strbuf.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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

static int set_option(int fd, int level, int option)
{
        int one = 1;

        return setsockopt(fd, level, option, &one, sizeof one) < 0 ? -errno : 0;
}

static int open_socket(const union address *address, socklen_t len, bool shared, int *ret_fd)
{
        int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        int r = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
        if (r == 0 && shared)
                r = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
        if (r == 0 && address->any.sa_family == AF_INET6)
                r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
        if (r == 0 && (bind(fd, &address->any, len) < 0 || listen(fd, BACKLOG) < 0))
                r = -errno;
        if (r < 0) {
                (void)close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

/*
 * The first socket takes the port for itself, which fails where anybody listens, another solvegate
 * included; only then it is shared, with sockets of this process since a stranger's would have to
 * be there at that moment.
 */
static int open_all(union address *address, socklen_t len, struct listener *listener)
{
        int r = open_socket(address, len, false, &listener->sockets[0]);

        if (r < 0)
                return r;
        if (getsockname(listener->sockets[0], &address->any, &len) < 0)
                return -errno;
        if (listener->socket_count > 1)
                r = set_option(listener->sockets[0], SOL_SOCKET, SO_REUSEPORT);
        for (int i = 1; r == 0 && i < listener->socket_count; i++)
                r = open_socket(address, len, true, &listener->sockets[i]);
        return r;
}

static int listener_init(const struct config_listen *config, int count, struct listener *listener)
{
        *listener = (struct listener){
                .sockets = calloc((size_t)count, sizeof *listener->sockets),
                .socket_count = count,
                .scheme = config->tls.certificate ? "https" : "http",
        };
        for (int i = 0; listener->sockets && i < count; i++)
                listener->sockets[i] = -1;
        return listener->sockets ? 0 : -ENOMEM;
}

static int port_of(const union address *address)
{
        return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port
                                                        : address->v4.sin_port);
}

static void write_address(const union address *address, char *ret_text, size_t size)
{
        const void *bytes = address->any.sa_family == AF_INET6
                                    ? (const void *)&address->v6.sin6_addr
                                    : (const void *)&address->v4.sin_addr;

        ret_text[0] = '\0';
        (void)inet_ntop(address->any.sa_family, bytes, ret_text, (socklen_t)size);
}

static void write_name(const union address *address, char ret_name[static LISTENER_NAME_BYTES_MAX])
{
        bool v6 = address->any.sa_family == AF_INET6;
        char text[INET6_ADDRSTRLEN];

        write_address(address, text, sizeof text);
        (void)snprintf(ret_name, LISTENER_NAME_BYTES_MAX, "%s%s%s:%d", v6 ? "[" : "", text,
                       v6 ? "]" : "", port_of(address));
}

/* Writes where the listener is bound. */
static void describe_bound(const union address *address, struct listener *listener)
{
        int v6_only = 1;
        socklen_t len = sizeof v6_only;

        write_name(address, listener->name);
        write_address(address, listener->address, sizeof listener->address);
        listener->port = port_of(address);
        listener->dual_stack =
                address->any.sa_family == AF_INET6 &&
                getsockopt(listener->sockets[0], IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &len) == 0 &&
                !v6_only;
}

void listener_name(const struct config_listen *config,
                   char ret_name[static LISTENER_NAME_BYTES_MAX])
{
        union address address;
        socklen_t len;

        ret_name[0] = '\0';
        if (address_parse(config->address, config->port, &address, &len) == 0)
                write_name(&address, ret_name);
}

int listener_open(const struct config_listen *config, int count, struct listener *ret_listener,
                  struct strbuf *problem)
{
        struct listener listener;
        union address address;
        socklen_t len;
        int r = listener_init(config, count, &listener);

        if (r < 0)
                return r;
        r = address_parse(config->address, config->port, &address, &len);
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
        describe_bound(&address, &listener);
        *ret_listener = listener;
        return 0;
}

/* ---- sockets of the service manager ---- */

/* Reads where a socket is bound. Returns false unless it is one of IPv4 or IPv6. */
static bool read_address(int fd, union address *ret)
{
        socklen_t len = sizeof *ret;

        *ret = (union address){0};
        return getsockname(fd, &ret->any, &len) == 0 &&
               (ret->any.sa_family == AF_INET || ret->any.sa_family == AF_INET6);
}

bool listener_describe(int fd, char ret_name[static LISTENER_NAME_BYTES_MAX])
{
        union address address;

        if (!read_address(fd, &address))
                return false;
        write_name(&address, ret_name);
        return true;
}

bool listener_is_at(const struct config_listen *config, int fd)
{
        union address wanted, address;
        socklen_t len;

        if (address_parse(config->address, config->port, &wanted, &len) < 0 ||
            !read_address(fd, &address) || address.any.sa_family != wanted.any.sa_family)
                return false;
        if (address.any.sa_family == AF_INET)
                return address.v4.sin_port == wanted.v4.sin_port &&
                       address.v4.sin_addr.s_addr == wanted.v4.sin_addr.s_addr;
        return address.v6.sin6_port == wanted.v6.sin6_port &&
               IN6_ARE_ADDR_EQUAL(&address.v6.sin6_addr, &wanted.v6.sin6_addr);
}

/* libmicrohttpd accepts until there is nothing more, and another server may be faster. */
static int duplicate(int fd, int *ret_fd)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return *ret_fd < 0 ? -errno : 0;
}

int listener_adopt(const struct config_listen *config, int count, const int *fds, int fd_count,
                   struct listener *ret_listener)
{
        struct listener listener;
        union address address;
        int r = listener_init(config, count, &listener);

        assert(fd_count > 0 && fd_count <= count);
        if (r < 0)
                return r;
        listener.passed = true;
        for (int i = 0; r == 0 && i < count; i++)
                r = duplicate(fds[i % fd_count], &listener.sockets[i]);
        if (r == 0 && read_address(listener.sockets[0], &address))
                describe_bound(&address, &listener);
        if (r < 0) {
                listener_close(&listener);
                return r;
        }
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
