/*
 * config_self: whether the url of an upstream leads to solvegate itself.
 *
 * A job that is sent to one of solvegate's own listeners comes in as a new job, which waits for the
 * first one: both are charged and end by their deadline.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_SELF_H
#define SOLVEGATE_CONFIG_CONFIG_SELF_H

#include <stdbool.h>

struct config_strings;

/* An address on which solvegate listens, or will. */
struct config_bound {
        const char *address; /* IPv4 or IPv6 in numbers; 0.0.0.0 and :: are all of the machine's */
        int port;            /* 1 to 65535 */
        bool dual_stack;     /* for ::, it accepts IPv4 as well */
};

/*
 * Returns whether url leads to bound, as far as can be told without DNS: url has an address of this
 * machine, localhost, the machine's own host name or one of server_names. Requires that
 * config_url_problem() accepts url. What only DNS, NAT or a proxy knows is found at run time
 * (http/guard). Thread: any.
 */
bool config_self_leads_to(const char *url, const struct config_bound *bound,
                          const struct config_strings *server_names);

#endif
