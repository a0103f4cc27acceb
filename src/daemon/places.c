/*
 * places: see places.h.
 */
#include "daemon/places.h"

#include "config/config.h"
#include "config/permissions.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>

static int check_state(const struct config *config, struct strbuf *problem)
{
        static const char *const names[] = {"jobs.db", "bodies.db", "lock"};
        char path[PATH_MAX];
        int r = permissions_check_directory(config->state_directory, problem);

        for (size_t i = 0; r == 0 && i < sizeof names / sizeof names[0]; i++) {
                (void)snprintf(path, sizeof path, "%s/%s", config->state_directory, names[i]);
                r = permissions_check_file(path, problem);
        }
        return r == 0 ? permissions_check_file(config->audit.file, problem) : r;
}

static int check_listeners(const struct config *config, struct strbuf *problem)
{
        int r = permissions_check_parents(config->admin.socket, problem);

        for (size_t i = 0; r == 0 && i < config->listen_count; i++) {
                const struct config_listen *listen = &config->listen[i];
                if (!listen->tls.certificate)
                        continue;
                r = permissions_check_file(listen->tls.certificate, problem);
                if (r == 0)
                        r = permissions_check_file(listen->tls.key, problem);
        }
        return r;
}

static int check_authorities(const struct config *config, struct strbuf *problem)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < config->upstreams_count; i++) {
                if (config->upstreams[i].ca)
                        r = permissions_check_file(config->upstreams[i].ca, problem);
        }
        return r;
}

int places_check(const struct config *config, struct strbuf *problem)
{
        int r = check_state(config, problem);

        if (r == 0)
                r = check_listeners(config, problem);
        if (r == 0)
                r = check_authorities(config, problem);
        return r;
}
