/*
 * credentials: see credentials.h.
 */
#include "daemon/credentials.h"

#include "config/config.h"
#include "config/credential.h"

#include <errno.h>
#include <stdlib.h>

int credentials_load(const struct config *config, struct credential ***ret_credentials,
                     struct strbuf *problem)
{
        size_t count = config->upstreams_count;
        struct credential **credentials = calloc(count, sizeof(struct credential *));
        int r = credentials ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < count; i++)
                r = credential_load(config->upstreams[i].credential, config->file, &credentials[i],
                                    problem);
        if (r < 0) {
                credentials_free(credentials, count);
                return r;
        }
        *ret_credentials = credentials;
        return 0;
}

void credentials_free(struct credential **credentials, size_t count)
{
        for (size_t i = 0; credentials && i < count; i++)
                credential_free(credentials[i]);
        free(credentials);
}
