/*
 * routes: which path is answered by which handler.
 */
#ifndef SOLVEGATE_HTTP_ROUTES_H
#define SOLVEGATE_HTTP_ROUTES_H

#include "http/server_shared.h"

struct route;

/*
 * Finds the route of a path on a server of this kind; slashes too many in front and one behind do
 * not count. NULL: none.
 */
const struct route *route_find(enum server_kind kind, const char *path);

/* What there is instead, for who asked for something else. */
const char *route_advice(enum server_kind kind, const char *path);

#endif
