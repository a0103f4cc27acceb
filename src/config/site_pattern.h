/*
 * site_pattern: what may stand where a host or a pattern of hosts is wanted.
 */
#ifndef SOLVEGATE_CONFIG_SITE_PATTERN_H
#define SOLVEGATE_CONFIG_SITE_PATTERN_H

/*
 * Tells whether text is a site pattern: a host, `*.` and a host name, or `*`. Returns NULL when
 * it is, else static text that says what is wrong with it and how to mend it, to be put behind the
 * quoted pattern: `is empty; write …`. Thread: any.
 */
const char *site_pattern_problem(const char *pattern);

/*
 * The same for one host, without port: a name of labels of letters, digits, hyphen and underscore
 * (RFC 1123 2.1; the underscore is in use), at most 63 bytes each and 253 in all, an IPv4 address
 * in four decimal numbers, or an IPv6 address in square brackets. Thread: any.
 */
const char *site_pattern_host_problem(const char *host);

#endif
