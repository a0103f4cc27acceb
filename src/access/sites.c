/*
 * sites: see sites.h. A table from host to entry; a look-up asks for the host itself, then for
 * what stands behind each of its dots.
 */
#include "access/sites.h"

#include "base/hash_table.h"
#include "config/config.h"
#include "config/site_pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX 65535

/* Moments (wall clock) from which on something is not allowed any more. */
#define FOR_EVER   INT64_MAX
#define NOT_LISTED INT64_MIN

struct site_entry {
        char host[SITE_HOST_BYTES_MAX]; /* the key */
        int64_t itself_until;           /* the host is allowed */
        int64_t below_until;            /* every host below it is */
        UT_hash_handle hh;
};

struct sites {
        struct site_entry *entries;
        int64_t all_until; /* every host is allowed */
};

/* A part of the caller's text. */
struct part {
        const char *ptr;
        size_t len;
};

/* ASCII only, whatever the locale. */
static char lower(char c)
{
        return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Checks what stands behind the host and port. */
static bool is_harmless(const char *rest)
{
        for (; *rest; rest++) {
                unsigned char c = (unsigned char)*rest;
                if (c < 0x20 || c == 0x7f || c == '\\')
                        return false;
        }
        return true;
}

/* Another character or NUL follows the len characters. */
static bool is_port(const char *text, size_t len)
{
        unsigned long port = strtoul(text, NULL, 10);

        return len > 0 && strspn(text, "0123456789") == len && port > 0 && port <= PORT_MAX;
}

/* Writes a name or an IPv4 address, checked. */
static int write_name(struct part name, char ret_host[static SITE_HOST_BYTES_MAX])
{
        char host[SITE_HOST_BYTES_MAX];

        if (name.len > 0 && name.ptr[name.len - 1] == '.')
                name.len--;
        if (name.len >= sizeof host)
                return -EINVAL;
        for (size_t i = 0; i < name.len; i++)
                host[i] = lower(name.ptr[i]);
        host[name.len] = '\0';
        if (site_pattern_host_problem(host))
                return -EINVAL;
        memcpy(ret_host, host, name.len + 1);
        return 0;
}

/* Writes an IPv6 address, which comes without its brackets. */
static int write_ipv6(struct part text, char ret_host[static SITE_HOST_BYTES_MAX])
{
        char shortest[INET6_ADDRSTRLEN];
        struct in6_addr address;

        if (text.len >= sizeof shortest)
                return -EINVAL;
        memcpy(shortest, text.ptr, text.len);
        shortest[text.len] = '\0';
        if (inet_pton(AF_INET6, shortest, &address) != 1 ||
            !inet_ntop(AF_INET6, &address, shortest, sizeof shortest))
                return -EINVAL;
        size_t len = strlen(shortest);
        ret_host[0] = '[';
        memcpy(ret_host + 1, shortest, len);
        memcpy(ret_host + 1 + len, "]", 2);
        return 0;
}

/* Passes http:// or https://. Another scheme is left, and refused as a host with a bad port. */
static const char *pass_scheme(const char *site)
{
        static const char *const schemes[] = {"http://", "https://"};

        for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
                size_t len = strlen(schemes[i]);
                if (strncasecmp(site, schemes[i], len) == 0)
                        return site + len;
        }
        return site;
}

int site_host(const char *site, char ret_host[static SITE_HOST_BYTES_MAX])
{
        const char *start = pass_scheme(site);
        const char *end = start + strcspn(start, "/?#");
        const char *after; /* the host: the end, or the colon before a port */
        bool ipv6 = *start == '[';

        if (!is_harmless(end))
                return -EINVAL;
        if (ipv6) {
                after = memchr(start, ']', (size_t)(end - start));
                if (!after)
                        return -EINVAL;
                after++;
        } else {
                after = memchr(start, ':', (size_t)(end - start));
                if (!after)
                        after = end;
        }
        if (after < end && (*after != ':' || !is_port(after + 1, (size_t)(end - after) - 1)))
                return -EINVAL;
        if (ipv6)
                return write_ipv6((struct part){start + 1, (size_t)(after - start) - 2}, ret_host);
        return write_name((struct part){start, (size_t)(after - start)}, ret_host);
}

/* Finds the entry of a host, or NULL. */
static struct site_entry *find(const struct sites *sites, const char *host)
{
        struct site_entry *entry;

        HASH_FIND_STR(sites->entries, host, entry);
        return entry;
}

/* Finds or adds the entry of a host. Returns NULL when memory runs out. */
static struct site_entry *need_entry(struct sites *sites, const char *host)
{
        struct site_entry *entry = find(sites, host);

        if (entry)
                return entry;
        entry = calloc(1, sizeof *entry);
        if (!entry)
                return NULL;
        memcpy(entry->host, host, strlen(host) + 1);
        entry->itself_until = NOT_LISTED;
        entry->below_until = NOT_LISTED;
        HASH_ADD_STR(sites->entries, host, entry);
        if (!entry->hh.tbl) {
                free(entry);
                return NULL;
        }
        return entry;
}

static void extend(int64_t *until, int64_t to)
{
        if (to > *until)
                *until = to;
}

static int add_entry(struct sites *sites, const struct config_site *from)
{
        int64_t until = from->until_ms != 0 ? from->until_ms : FOR_EVER;
        bool below = strncmp(from->site, "*.", 2) == 0;
        char host[SITE_HOST_BYTES_MAX];

        if (strcmp(from->site, "*") == 0) {
                extend(&sites->all_until, until);
                return 0;
        }
        int r = site_host(below ? from->site + 2 : from->site, host);
        if (r < 0)
                return r;
        struct site_entry *entry = need_entry(sites, host);
        if (!entry)
                return -ENOMEM;
        extend(below ? &entry->below_until : &entry->itself_until, until);
        return 0;
}

int sites_new(const struct config_site *entries, size_t count, struct sites **ret_sites)
{
        struct sites *sites = calloc(1, sizeof *sites);

        if (!sites)
                return -ENOMEM;
        sites->all_until = NOT_LISTED;
        for (size_t i = 0; i < count; i++) {
                int r = add_entry(sites, &entries[i]);
                if (r < 0) {
                        sites_free(sites);
                        return r;
                }
        }
        *ret_sites = sites;
        return 0;
}

void sites_free(struct sites *sites)
{
        struct site_entry *entry, *next;

        if (!sites)
                return;
        HASH_ITER (hh, sites->entries, entry, next) {
                HASH_DEL(sites->entries, entry);
                free(entry);
        }
        free(sites);
}

static bool is_address(const char *host)
{
        struct in_addr address;

        return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

/* Of all entries that cover a host the longest lived one decides. */
enum sites_verdict sites_check(const struct sites *sites, const char *host, int64_t now_wall_ms)
{
        const struct site_entry *entry = find(sites, host);
        int64_t until = sites->all_until;

        if (entry)
                extend(&until, entry->itself_until);
        if (!is_address(host)) {
                for (const char *dot = strchr(host, '.'); dot; dot = strchr(dot + 1, '.')) {
                        entry = find(sites, dot + 1);
                        if (entry)
                                extend(&until, entry->below_until);
                }
        }
        if (until == NOT_LISTED)
                return SITES_DENY;
        return now_wall_ms < until ? SITES_ALLOW : SITES_EXPIRED;
}
