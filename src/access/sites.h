/*
 * sites: a list of hosts for which jobs are relayed. Deny by default: an empty list allows none.
 *
 * A pattern is a host name (that host alone), `*.` and a suffix (every host below the suffix, not
 * the suffix itself), or `*` (every host). An entry may end: from that moment on it allows nothing.
 * Immutable after sites_new(), so any thread may ask.
 */
#ifndef SOLVEGATE_ACCESS_SITES_H
#define SOLVEGATE_ACCESS_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SITE_HOST_BYTES_MAX 256 /* 253 characters of a DNS name, and NUL */

struct config_site;
struct sites;

/*
 * Makes a list of entries, whose patterns are copied in the form site_host() gives: lower case,
 * addresses as inet_ntop(3) writes them. Of two entries with the same pattern the longer lived one
 * counts. What a pattern may look like in the configuration is checked where that is read. Returns
 * 0, -EINVAL for what holds no host, or -ENOMEM.
 */
int sites_new(const struct config_site *entries, size_t count, struct sites **ret_sites);

/* Frees. Takes NULL. */
void sites_free(struct sites *sites);

/*
 * Takes the host out of what a tool calls its site: a host, host/path, or http or https URL, with a
 * port, upper case, or one trailing dot. Writes it in lower case without port and dot.
 *
 * An IPv4 address must be a dotted quad; other numbers (127.1, 0x7f.1) are refused, since
 * resolvers disagree on them. An IPv6 address stands in square brackets (RFC 3986, 3.2.2), and is
 * written back in brackets in its shortest form (RFC 5952).
 *
 * Returns 0, or -EINVAL for anything on which two parsers might disagree: user information, a
 * backslash, white space, control characters or percent signs, an empty label or port, another
 * scheme, `//host`, a non-ASCII host (write it in Punycode). What stands behind the first `/`,
 * `?` or `#` is only searched for control characters and backslashes.
 */
int site_host(const char *site, char ret_host[static SITE_HOST_BYTES_MAX]);

enum sites_verdict {
        SITES_ALLOW,
        SITES_EXPIRED, /* it was on the list until an entry ended */
        SITES_DENY,
};

/*
 * Tells whether a host, as site_host() writes it, is on the list at this moment (wall clock). A
 * suffix is one of names: `*.0.0.1` allows no address. Allocates nothing; a look-up for the host
 * and one for each dot in it.
 */
enum sites_verdict sites_check(const struct sites *sites, const char *host, int64_t now_wall_ms);

#endif
