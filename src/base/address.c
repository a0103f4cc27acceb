/*
 * address: see address.h.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define NETWORK_BYTES 8

static void map(struct in_addr v4, struct in6_addr *ret)
{
        ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
        memcpy(&ret->s6_addr[12], &v4, sizeof v4);
}

bool address_parse(const char *text, struct in6_addr *ret)
{
        char bare[INET6_ADDRSTRLEN];
        size_t len = strlen(text), bracket = text[0] == '[' && text[len - 1] == ']';
        struct in6_addr v6 = {0};
        struct in_addr v4;

        *ret = v6;
        if (len - 2 * bracket >= sizeof bare)
                return false;
        memcpy(bare, text + bracket, len - 2 * bracket);
        bare[len - 2 * bracket] = '\0';
        if (inet_pton(AF_INET6, bare, &v6) == 1)
                *ret = v6;
        else if (!bracket && inet_pton(AF_INET, bare, &v4) == 1)
                map(v4, ret);
        else
                return false;
        return true;
}

bool address_of(const struct sockaddr *socket, struct in6_addr *ret)
{
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;

        *ret = (struct in6_addr){0};
        if (socket && socket->sa_family == AF_INET6) {
                memcpy(&v6, socket, sizeof v6);
                *ret = v6.sin6_addr;
        } else if (socket && socket->sa_family == AF_INET) {
                memcpy(&v4, socket, sizeof v4);
                map(v4.sin_addr, ret);
        } else {
                return false;
        }
        return true;
}

bool address_is_loopback(const struct in6_addr *address)
{
        return IN6_IS_ADDR_LOOPBACK(address) ||
               (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

struct in6_addr address_network(struct in6_addr address)
{
        if (!IN6_IS_ADDR_V4MAPPED(&address) && !IN6_IS_ADDR_LOOPBACK(&address))
                memset(&address.s6_addr[NETWORK_BYTES], 0, sizeof address - NETWORK_BYTES);
        return address;
}
