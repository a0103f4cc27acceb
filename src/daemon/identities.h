/*
 * identities: the certificates and keys of all listeners.
 */
#ifndef SOLVEGATE_DAEMON_IDENTITIES_H
#define SOLVEGATE_DAEMON_IDENTITIES_H

#include <stddef.h>

struct config;
struct strbuf;
struct tls_identity;

/*
 * Loads the identity of each listener of a configuration, in order; NULL stands for plain HTTP. On
 * failure returns -errno and writes one line to problem, but for -ENOMEM. The caller frees them
 * with identities_free().
 */
int identities_load(const struct config *config, struct tls_identity ***ret_identities,
                    struct strbuf *problem);

/* Drops a reference to each, and frees the array. Takes NULL. */
void identities_free(struct tls_identity **identities, size_t count);

#endif
