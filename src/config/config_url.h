/*
 * config_url: the address of a listener, the url of an upstream, and the origin of a web page.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_URL_H
#define SOLVEGATE_CONFIG_CONFIG_URL_H

#include <stdbool.h>

enum config_address {
        CONFIG_ADDRESS_NONE, /* no IP address in numbers */
        CONFIG_ADDRESS_LOOPBACK,
        CONFIG_ADDRESS_OTHER,
};

/* Tells what an IPv4 or IPv6 address, without brackets, belongs to. Thread: any. */
enum config_address config_url_address(const char *text);

/* Tells whether two texts are the same address, however written. Thread: any. */
bool config_url_same_address(const char *a, const char *b);

/*
 * Tells whether text is a scheme, a host and perhaps a port, and nothing else; http only towards
 * the loopback interface, since elsewhere the key would cross the network in clear text. Returns
 * NULL and sets *ret_tls when it is, else static text that says what is wrong and how to mend
 * it. Thread: any.
 */
const char *config_url_problem(const char *text, bool *ret_tls);

/*
 * Tells whether text is the origin of a web page as browsers write it in the Origin field (RFC
 * 6454 6.2; URL Standard, "host serializer"), so that the two can be compared as texts. Returns
 * NULL when it is, else static text as above. Thread: any.
 */
const char *config_url_origin_problem(const char *text);

#endif
