/*
 * routes: see routes.h. Both generations' paths are served, whatever the upstream speaks.
 */
#include "http/routes.h"

#include <string.h>

static const struct route routes[] = {
        {"/api/status", "/api", false, status_handle},
        {"/api/solve", "/api", true, solve_handle},
        {"/api/account/balance", "/api", false, balance_handle},
        {"/status", "", false, status_handle},
        {"/solve", "", true, solve_handle},
        {"/balance", "", false, balance_handle},
};

const struct route *route_find(const char *path)
{
        /* A base URL with a slash at its end gives two. */
        while (path[0] == '/' && path[1] == '/')
                path++;
        size_t len = strlen(path);
        if (len > 1 && path[len - 1] == '/')
                len--;
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
                if (strlen(routes[i].path) == len && memcmp(routes[i].path, path, len) == 0)
                        return &routes[i];
        }
        return NULL;
}

const char *route_allow(const struct route *route)
{
        return route->takes_body ? "POST" : "GET, HEAD";
}

bool route_allows(const struct route *route, const char *method)
{
        if (route->takes_body)
                return strcmp(method, "POST") == 0;
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}
