/*
 * config_url: see config_url.h.
 */
#include "config/config_url.h"

#include "base/address.h"
#include "config/site_pattern.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX   65535
#define HTTP_PORT  80
#define HTTPS_PORT 443

enum config_address config_url_address(const char *text)
{
        struct in_addr v4;
        struct in6_addr v6;

        if (inet_pton(AF_INET, text, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET ? CONFIG_ADDRESS_LOOPBACK
                                                                : CONFIG_ADDRESS_OTHER;
        if (inet_pton(AF_INET6, text, &v6) == 1)
                return IN6_IS_ADDR_LOOPBACK(&v6) ? CONFIG_ADDRESS_LOOPBACK : CONFIG_ADDRESS_OTHER;
        return CONFIG_ADDRESS_NONE;
}

bool config_url_same_address(const char *a, const char *b)
{
        struct in_addr v4[2];
        struct in6_addr v6[2];

        if (inet_pton(AF_INET, a, &v4[0]) == 1)
                return inet_pton(AF_INET, b, &v4[1]) == 1 && v4[0].s_addr == v4[1].s_addr;
        return inet_pton(AF_INET6, a, &v6[0]) == 1 && inet_pton(AF_INET6, b, &v6[1]) == 1 &&
               memcmp(&v6[0], &v6[1], sizeof v6[0]) == 0;
}

bool config_url_addresses_overlap(const char *a, const char *b)
{
        bool v4 = !strchr(a, ':');

        if (v4 != !strchr(b, ':'))
                return false;
        return config_url_same_address(a, b) || config_url_same_address(a, v4 ? "0.0.0.0" : "::") ||
               config_url_same_address(b, v4 ? "0.0.0.0" : "::");
}

static bool is_loopback(const char *host)
{
        struct in6_addr address;

        return strcasecmp(host, "localhost") == 0 ||
               (address_parse(host, &address) && address_is_loopback(&address));
}

bool config_url_is_port(const char *text)
{
        size_t len = strlen(text);

        if (len == 0 || len > 5 || text[strspn(text, "0123456789")] != '\0')
                return false;
        long port = strtol(text, NULL, 10);
        return port > 0 && port <= PORT_MAX;
}

const char *config_url_split_authority(const char *authority,
                                       char ret_host[static CONFIG_HOST_BYTES_MAX],
                                       const char **ret_port)
{
        const char *bracket = authority[0] == '[' ? strchr(authority, ']') : NULL;
        const char *end = bracket ? bracket + 1 : strchrnul(authority, ':');
        size_t len = (size_t)(end - authority);

        if (len == 0)
                return "has no host; write it behind the scheme";
        if (len >= CONFIG_HOST_BYTES_MAX)
                return "has a host of more than 253 bytes; shorten it";
        memcpy(ret_host, authority, len);
        ret_host[len] = '\0';
        if (*end != '\0' && *end != ':')
                return "has something between host and port; write https://HOST:PORT";
        *ret_port = *end == ':' ? end + 1 : NULL;
        return NULL;
}

void config_url_split(const char *url, char ret_host[static CONFIG_HOST_BYTES_MAX], int *ret_port)
{
        bool tls = strncmp(url, "https://", 8) == 0;
        const char *port = NULL;

        (void)config_url_split_authority(url + (tls ? 8 : 7), ret_host, &port);
        if (port)
                *ret_port = (int)strtol(port, NULL, 10);
        else
                *ret_port = tls ? HTTPS_PORT : HTTP_PORT;
}

const char *config_url_problem(const char *text, bool *ret_tls)
{
        char host[CONFIG_HOST_BYTES_MAX];
        const char *port = NULL;
        bool tls = strncmp(text, "https://", 8) == 0;

        if (!tls && strncmp(text, "http://", 7) != 0)
                return "does not start with https://; write https://HOST, in lower case";
        const char *authority = text + (tls ? 8 : 7);
        size_t len = strcspn(authority, "/?#\\");
        if (strcmp(authority + len, "/") == 0)
                return "ends with a slash; remove the slash";
        if (authority[len] != '\0')
                return "has a path or a query; end it behind host and port";
        if (strchr(authority, '@'))
                return "has user information; remove it, the key belongs in the credential file";
        const char *problem = config_url_split_authority(authority, host, &port);
        if (!problem)
                problem = site_pattern_host_problem(host);
        if (problem)
                return problem;
        if (port && !config_url_is_port(port))
                return "has no valid port; write a number from 1 to 65535, or no colon";
        if (!tls && !is_loopback(host))
                return "would send the key over the network in clear text; write https://";
        *ret_tls = tls;
        return NULL;
}
