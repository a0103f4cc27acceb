/*
 * route: see route.h.
 */
#include "http/route.h"

#include <string.h>

const char *route_allow(const struct route *route)
{
        if (route->kind != ROUTE_ASKS)
                return "POST";
        return route->cancel ? "GET, HEAD, DELETE" : "GET, HEAD";
}

bool route_allows(const struct route *route, const char *method)
{
        if (route->kind != ROUTE_ASKS)
                return strcmp(method, "POST") == 0;
        if (strcmp(method, "DELETE") == 0)
                return route->cancel;
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool route_needs_client(const struct route *route, bool cancels)
{
        return route->auth == AUTH_REQUIRED || (route->auth == AUTH_OPTIONAL && cancels);
}
