/*
 * address: IP addresses as IPv6, an IPv4 one in its mapped form (RFC 4291, 2.5.5.2). Thread: any.
 */
#ifndef SOLVEGATE_BASE_ADDRESS_H
#define SOLVEGATE_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

/*
 * Reads an address in numbers, an IPv6 one with or without brackets. Returns false, with *ret
 * zeroed, if text is not one.
 */
bool address_parse(const char *text, struct in6_addr *ret);

/* Returns false, with *ret zeroed, for NULL and other families. */
bool address_of(const struct sockaddr *socket, struct in6_addr *ret);

/* 127.0.0.0/8 and ::1. */
bool address_is_loopback(const struct in6_addr *address);

/*
 * What counts as one host: of an IPv6 address its /64, which is given out as a whole (RFC 6177).
 * ::1 stays what it is: others in its /64 cannot be chosen by a host.
 */
struct in6_addr address_network(struct in6_addr address);

#endif
