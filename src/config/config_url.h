/*
 * config_url: the address of a listener and the url of an upstream.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_URL_H
#define SOLVEGATE_CONFIG_CONFIG_URL_H

#include <stdbool.h>

#define CONFIG_HOST_BYTES_MAX 256 /* a host in a url, with its NUL */

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
 * Returns whether two sockets cannot listen on the same port of two addresses: they are the same,
 * or one stands for all addresses of the other's family (0.0.0.0, ::). Thread: any.
 */
bool config_url_addresses_overlap(const char *a, const char *b);

/*
 * Tells whether text is a scheme, a host and perhaps a port, and nothing else; http only towards
 * the loopback interface, since elsewhere the key would cross the network in clear text. Returns
 * NULL and sets *ret_tls when it is, else static text that says what is wrong and how to mend
 * it. Thread: any.
 */
const char *config_url_problem(const char *text, bool *ret_tls);

/*
 * Splits HOST or HOST:PORT. Returns NULL and sets *ret_port, which points into authority and is
 * NULL without a port; or static text as config_url_problem() does. Does not check the host and
 * the port. Thread: any.
 */
const char *config_url_split_authority(const char *authority,
                                       char ret_host[static CONFIG_HOST_BYTES_MAX],
                                       const char **ret_port);

/* Returns whether text is a port number from 1 to 65535. Thread: any. */
bool config_url_is_port(const char *text);

/* Splits a url without config_url_problem() into its host and its port, which may be implied.
 * Thread: any. */
void config_url_split(const char *url, char ret_host[static CONFIG_HOST_BYTES_MAX], int *ret_port);

#endif
