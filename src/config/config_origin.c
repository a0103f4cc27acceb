/*
 * config_origin: see config_origin.h.
 *
 * Two kinds of origins have rules of their own. A web page has a host name, which browsers write
 * in lower case and without the scheme's own port. An extension or a desktop shell has a scheme of
 * its own and an opaque host (URL Standard, "opaque-host parser"): an ID or a fixed word, with case
 * preserved and without a default port.
 */
#include "config/config_origin.h"

#include "config/config_url.h"
#include "config/site_pattern.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SCHEME_BYTES_MAX 64
#define LOWER            "abcdefghijklmnopqrstuvwxyz"
#define UPPER            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS           "0123456789"

/* An IPv6 address is in its shortest form, in lower case (RFC 5952). */
static bool is_shortest_ipv6(const char *host)
{
        char inside[INET6_ADDRSTRLEN], shortest[INET6_ADDRSTRLEN];
        struct in6_addr address;
        size_t len = strlen(host) - 2;

        if (len >= sizeof inside)
                return false;
        memcpy(inside, host + 1, len);
        inside[len] = '\0';
        /* With an IPv4 address inside, some write dots and browsers do not. */
        return inet_pton(AF_INET6, inside, &address) == 1 &&
               (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address) ||
                strcmp(inet_ntop(AF_INET6, &address, shortest, sizeof shortest), inside) == 0);
}

/* Words that people write in place of an origin, each with its own fix. */
static const char *word_problem(const char *text)
{
        if (text[0] == '\0')
                return "is empty; write one such as https://tools.example.com";
        if (strcmp(text, "*") == 0)
                return "would let every web page spend; list each origin by itself";
        if (strcmp(text, "null") == 0)
                return "is sent by pages of any site, in a sandbox or from a file; serve the page "
                       "over https and list its origin";
        if (strchr(text, '*'))
                return "holds a *; list each origin by itself";
        return NULL;
}

/*
 * The Origin field never contains these: a page of such a scheme has no origin ("null"), or the
 * scheme has no pages. Some web views send file://, which stands for every file on the machine.
 */
static bool has_no_pages(const char *scheme, size_t len)
{
        static const char *const schemes[] = {"about", "blob",       "data", "file", "filesystem",
                                              "ftp",   "javascript", "ws",   "wss"};

        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
                if (strlen(schemes[i]) == len && memcmp(schemes[i], scheme, len) == 0)
                        return true;
        }
        return false;
}

/* RFC 3986, 3.1; serializers write it in lower case. */
static const char *scheme_problem(const char *text, size_t len)
{
        if (len == 0 || strspn(text, LOWER UPPER DIGITS "+-.") < len || !strchr(LOWER UPPER, *text))
                return "does not start with a scheme; write scheme, host and, if need be, port, "
                       "such as https://tools.example.com";
        if (strcspn(text, UPPER) < len)
                return "has an upper case letter in its scheme, where browsers write lower case; "
                       "write it in lower case";
        if (len > SCHEME_BYTES_MAX)
                return "has a scheme of more than 64 bytes; shorten it";
        if (has_no_pages(text, len))
                return "has a scheme whose pages have no origin of their own; serve the page over "
                       "https and list its origin";
        return NULL;
}

static const char *web_host_problem(const char *host)
{
        if (host[strcspn(host, UPPER)] != '\0')
                return "has an upper case letter, where browsers write lower case; write it in "
                       "lower case";
        return site_pattern_host_problem(host);
}

static const char *opaque_host_problem(const char *host)
{
        if (host[0] == '[')
                return site_pattern_host_problem(host);
        if (host[strspn(host, LOWER UPPER DIGITS "-._~")] != '\0')
                return "holds a character that no extension and no desktop shell has in its "
                       "origin; copy the origin from location.origin of its page";
        return NULL;
}

static const char *port_problem(const char *port, const char *default_port)
{
        if (!config_url_is_port(port))
                return "has no valid port; write a number from 1 to 65535, or no colon";
        if (port[0] == '0')
                return "has a port with a zero in front; write it without";
        if (strcmp(port, default_port) == 0)
                return "has the port that its scheme stands for, which browsers leave out; remove "
                       "the colon and the port";
        return NULL;
}

/* What follows `SCHEME://`. default_port is "" for a scheme without one. */
static const char *authority_problem(const char *authority, bool web, const char *default_port)
{
        char host[CONFIG_HOST_BYTES_MAX];
        const char *port = NULL;
        size_t len = strcspn(authority, "/?#\\");

        if (authority[0] != '\0' && strcmp(authority + len, "/") == 0)
                return "ends with a slash, which browsers leave out; remove the slash";
        if (authority[len] != '\0')
                return "has a path or a query; end it behind host and port";
        if (strchr(authority, '@'))
                return "has user information; remove it, with the @";
        const char *problem = config_url_split_authority(authority, host, &port);
        if (!problem)
                problem = web ? web_host_problem(host) : opaque_host_problem(host);
        if (problem)
                return problem;
        if (host[0] == '[' && !is_shortest_ipv6(host))
                return "has an IPv6 address that browsers write shorter; write it as in [::1]";
        return port ? port_problem(port, default_port) : NULL;
}

const char *config_origin_problem(const char *text)
{
        const char *problem = word_problem(text), *separator = strstr(text, "://");
        size_t len = separator ? (size_t)(separator - text) : 0;

        if (!problem)
                problem = scheme_problem(text, len);
        if (problem)
                return problem;
        bool tls = strncmp(text, "https://", 8) == 0, plain = strncmp(text, "http://", 7) == 0;
        return authority_problem(separator + 3, tls || plain, tls ? "443" : plain ? "80" : "");
}
