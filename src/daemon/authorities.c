/*
 * authorities: see authorities.h.
 */
#include "daemon/authorities.h"

#include "config/config.h"
#include "config/problem.h"
#include "upstream/ca_file.h"

#include <stddef.h>
#include <stdlib.h>

static int check(const struct config_upstream *upstream, struct strbuf *problem)
{
        const char *what;
        char *bytes = NULL;
        size_t len;
        int r = upstream->ca ? ca_file_read(upstream->ca, &bytes, &len, &what) : 0;

        if (r < 0)
                problem_write(problem, upstream->ca, 0,
                              "%s; put the certificate of the authority that upstream \"%s\" is to "
                              "be verified by there, in PEM, or leave out its ca for those that "
                              "the system trusts",
                              what, upstream->name);
        free(bytes);
        return r;
}

int authorities_check(const struct config *config, struct strbuf *problem)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < config->upstreams_count; i++)
                r = check(&config->upstreams[i], problem);
        return r;
}
