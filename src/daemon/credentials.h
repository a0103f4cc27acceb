/*
 * credentials: those of all upstreams.
 */
#ifndef SOLVEGATE_DAEMON_CREDENTIALS_H
#define SOLVEGATE_DAEMON_CREDENTIALS_H

#include <stddef.h>

struct config;
struct credential;
struct strbuf;

/*
 * Loads the credential of each upstream of a configuration, in order. On failure returns -errno and
 * writes one line to problem, but for -ENOMEM. The caller frees them with credentials_free().
 */
int credentials_load(const struct config *config, struct credential ***ret_credentials,
                     struct strbuf *problem);

/* Wipes and frees those that nobody took over (they are NULL then), and the array. Takes NULL. */
void credentials_free(struct credential **credentials, size_t count);

#endif
