/*
 * config_self: see config_self.h. Addresses are compared as IPv6, an IPv4 one in its mapped form
 * (RFC 4291, 2.5.5.2), by which an IPv6 socket reaches it too.
 */
#include "config/config_self.h"

#include "base/address.h"
#include "config/config.h"
#include "config/config_url.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISCARD_PORT   9
#define ADDRESSES_MAX  2 /* of one host: those of localhost */
#define LOCALHOST      "localhost"
#define LOCALHOST_TAIL ".localhost" /* RFC 6761, 6.3 */

struct addresses {
        struct in6_addr items[ADDRESSES_MAX];
        size_t count; /* 0: it takes DNS to know them */
};

static bool is_any_v4(const struct in6_addr *address)
{
        return IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr32[3] == htonl(INADDR_ANY);
}

static struct in6_addr loopback_v4(void)
{
        struct in6_addr address;

        (void)address_parse("127.0.0.1", &address);
        return address;
}

/* Linux connects to the loopback interface where the address is 0.0.0.0 or ::. */
static struct in6_addr connected(struct in6_addr address)
{
        if (is_any_v4(&address))
                return loopback_v4();
        return IN6_IS_ADDR_UNSPECIFIED(&address) ? in6addr_loopback : address;
}

static bool is_localhost(const char *host)
{
        size_t len = strlen(host), tail = strlen(LOCALHOST_TAIL);

        return strcasecmp(host, LOCALHOST) == 0 ||
               (len > tail && strcasecmp(host + len - tail, LOCALHOST_TAIL) == 0);
}

static struct addresses addresses_of(const char *host)
{
        struct addresses addresses = {.count = 0};
        struct in6_addr address;

        if (is_localhost(host)) {
                addresses.items[0] = loopback_v4();
                addresses.items[1] = in6addr_loopback;
                addresses.count = 2;
                return addresses;
        }
        if (address_parse(host, &address))
                addresses.items[addresses.count++] = connected(address);
        return addresses;
}

static bool is_at(const struct sockaddr *interface, const struct in6_addr *address)
{
        struct in6_addr own;

        return address_of(interface, &own) && IN6_ARE_ADDR_EQUAL(&own, address);
}

static socklen_t fill_sockaddr(const struct in6_addr *address, struct sockaddr_storage *ret)
{
        struct sockaddr_in6 v6 = {
                .sin6_family = AF_INET6, .sin6_port = htons(DISCARD_PORT), .sin6_addr = *address};
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(DISCARD_PORT)};

        if (!IN6_IS_ADDR_V4MAPPED(address)) {
                memcpy(ret, &v6, sizeof v6);
                return sizeof v6;
        }
        memcpy(&v4.sin_addr, &address->s6_addr[12], sizeof v4.sin_addr);
        memcpy(ret, &v4, sizeof v4);
        return sizeof v4;
}

/*
 * The source address of what this machine sends to one of its own addresses is that address.
 * Connecting a UDP socket chooses it, and sends nothing. bind(2) would not tell, since
 * net.ipv4.ip_nonlocal_bind allows it for any address.
 */
static bool is_own_source(const struct in6_addr *address)
{
        struct sockaddr_storage peer = {0}, source = {0};
        socklen_t len = fill_sockaddr(address, &peer), source_len = sizeof source;
        int fd = socket(peer.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return false;
        bool found = connect(fd, (const struct sockaddr *)&peer, len) == 0 &&
                     getsockname(fd, (struct sockaddr *)&source, &source_len) == 0 &&
                     is_at((const struct sockaddr *)&source, address);
        (void)close(fd);
        return found;
}

/* getifaddrs(3) takes a socket of AF_NETLINK, which the unit of the service does not allow. */
static bool is_of_this_machine(const struct in6_addr *address)
{
        struct ifaddrs *interfaces = NULL;
        bool found = address_is_loopback(address);

        if (found)
                return true;
        if (getifaddrs(&interfaces) < 0)
                return is_own_source(address);
        for (const struct ifaddrs *i = interfaces; i && !found; i = i->ifa_next)
                found = is_at(i->ifa_addr, address);
        freeifaddrs(interfaces);
        return found;
}

static bool accepts(const struct config_bound *bound, const struct in6_addr *address)
{
        struct in6_addr own;

        if (!address_parse(bound->address, &own))
                return false;
        if (is_any_v4(&own))
                return IN6_IS_ADDR_V4MAPPED(address) && is_of_this_machine(address);
        if (IN6_IS_ADDR_UNSPECIFIED(&own))
                return (bound->dual_stack || !IN6_IS_ADDR_V4MAPPED(address)) &&
                       is_of_this_machine(address);
        return IN6_ARE_ADDR_EQUAL(&own, address);
}

static bool is_listed(const struct config_strings *names, const char *host)
{
        for (size_t i = 0; i < names->count; i++) {
                if (strcasecmp(names->items[i], host) == 0)
                        return true;
        }
        return false;
}

/* The machine's name, with its domain or without. */
static bool is_host_name(const char *host)
{
        char name[CONFIG_HOST_BYTES_MAX];

        if (gethostname(name, sizeof name) < 0)
                return false;
        name[sizeof name - 1] = '\0';
        if (strcasecmp(host, name) == 0)
                return true;
        name[strcspn(name, ".")] = '\0';
        return name[0] != '\0' && strcasecmp(host, name) == 0;
}

/* server_names are how clients reach every listener; the machine's name is for those that are not
 * only on the loopback interface. */
static bool name_leads_to(const char *host, const struct config_bound *bound,
                          const struct config_strings *server_names)
{
        struct in6_addr own;

        if (is_listed(server_names, host))
                return true;
        return address_parse(bound->address, &own) && !address_is_loopback(&own) &&
               is_host_name(host);
}

bool config_self_leads_to(const char *url, const struct config_bound *bound,
                          const struct config_strings *server_names)
{
        char host[CONFIG_HOST_BYTES_MAX];
        int port = 0;

        config_url_split(url, host, &port);
        if (port != bound->port)
                return false;
        const struct addresses addresses = addresses_of(host);
        for (size_t i = 0; i < addresses.count; i++) {
                if (accepts(bound, &addresses.items[i]))
                        return true;
        }
        return addresses.count == 0 && name_leads_to(host, bound, server_names);
}
