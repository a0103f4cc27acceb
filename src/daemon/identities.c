/*
 * identities: see identities.h.
 */
#include "daemon/identities.h"

#include "config/config.h"
#include "http/tls.h"

#include <errno.h>
#include <stdlib.h>

int identities_load(const struct config *config, struct tls_identity ***ret_identities,
                    struct strbuf *problem)
{
        struct tls_identity **identities = calloc(config->listen_count, sizeof *identities);
        int r = identities ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < config->listen_count; i++) {
                if (config->listen[i].tls.certificate)
                        r = tls_identity_load(&config->listen[i], &identities[i], problem);
        }
        if (r < 0) {
                identities_free(identities, config->listen_count);
                return r;
        }
        *ret_identities = identities;
        return 0;
}

void identities_free(struct tls_identity **identities, size_t count)
{
        for (size_t i = 0; identities && i < count; i++)
                tls_identity_unref(identities[i]);
        free(identities);
}
