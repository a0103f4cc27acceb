/*
 * warnings: see warnings.h.
 */
#include "daemon/warnings.h"

#include "access/sites.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_url.h"
#include "http/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WHERE_BYTES_MAX 128

/* 0 is never. */
static bool is_over(int64_t until_ms)
{
        return until_ms != 0 && until_ms <= clock_wall_ms();
}

static void warn_of_listeners(const struct config *config, struct tls_identity *const *identities)
{
        for (size_t i = 0; i < config->listen_count; i++) {
                const struct config_listen *listen = &config->listen[i];
                if (identities[i] && is_over(tls_identity_until_ms(identities[i])))
                        log_warning("the certificate %s of listen[%zu] has expired: tools will "
                                    "refuse it",
                                    listen->tls.certificate, i);
                if (!identities[i] && config_url_address(listen->address) == CONFIG_ADDRESS_OTHER)
                        log_warning("listen[%zu] (%s port %d) has no tls: tokens and jobs cross "
                                    "the network in clear text",
                                    i, listen->address, listen->port);
        }
}

static void warn_of_expired_sites(const char *where, const struct config_sites *sites)
{
        for (size_t i = 0; i < sites->count; i++) {
                if (is_over(sites->items[i].until_ms))
                        log_warning("%s: \"%s\" has expired: it allows nothing any more", where,
                                    sites->items[i].site);
        }
}

static void warn_of_sites(const struct config_sites *sites)
{
        if (sites->count == 0)
                log_warning("sites.allow is empty: every job is refused");
        for (size_t i = 0; i < sites->count; i++) {
                const char *pattern = sites->items[i].site;
                if (strcmp(pattern, "*") == 0)
                        log_warning("sites.allow has \"*\": jobs for every site are relayed");
                else if (strncmp(pattern, "*.", 2) == 0 && !strchr(pattern + 2, '.'))
                        log_warning("sites.allow has \"%s\": jobs for a whole top-level domain are "
                                    "relayed",
                                    pattern);
        }
        warn_of_expired_sites("sites.allow", sites);
}

/* A client's list only narrows the global one, NULL for want of memory. */
static void warn_of_client_sites(const struct config_client *client, const struct sites *global)
{
        char where[WHERE_BYTES_MAX], host[SITE_HOST_BYTES_MAX];

        (void)snprintf(where, sizeof where, "sites.allow of client \"%s\"", client->name);
        warn_of_expired_sites(where, &client->sites.allow);
        for (size_t i = 0; i < client->sites.allow.count; i++) {
                const char *pattern = client->sites.allow.items[i].site;
                if (strcmp(pattern, "*") == 0)
                        log_warning("%s has \"*\": it is not narrower than the global one", where);
                else if (pattern[0] != '*' && global && site_host(pattern, host) == 0 &&
                         sites_check(global, host, clock_wall_ms()) == SITES_DENY)
                        log_warning("%s has \"%s\", which the global one does not allow: jobs for "
                                    "it are refused",
                                    where, pattern);
        }
}

static void warn_of_clients(const struct config *config)
{
        const struct config_sites *allow = &config->sites.allow;
        struct sites *global = NULL;
        bool limited = false;

        (void)sites_new(allow->items, allow->count, &global);
        for (size_t i = 0; i < config->clients_count; i++) {
                const struct config_client *client = &config->clients[i];
                if (is_over(client->until_ms))
                        log_warning("client \"%s\" has expired: its token is refused",
                                    client->name);
                warn_of_client_sites(client, global);
                limited = limited || client->daily_limit > 0 || client->monthly_limit > 0;
        }
        sites_free(global);
        if (limited && config->durability == DURABILITY_NONE)
                log_warning("durability is \"none\": what clients have used of daily_limit and "
                            "monthly_limit is forgotten at each stop");
}

void warnings_log(const struct config *config, struct tls_identity *const *identities)
{
        warn_of_listeners(config, identities);
        warn_of_sites(&config->sites.allow);
        warn_of_clients(config);
}
