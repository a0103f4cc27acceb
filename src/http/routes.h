/*
 * routes: which path is answered by which handler.
 */
#ifndef SOLVEGATE_HTTP_ROUTES_H
#define SOLVEGATE_HTTP_ROUTES_H

#include <microhttpd.h>
#include <stdbool.h>

struct request;

struct route {
        const char *path;
        const char *family; /* what stands before `/status` in the addresses it gives out */
        bool takes_body;    /* POST, else GET and HEAD */
        /*
         * Called when the request is whole, and again after it was held. Queues a reply, or holds
         * the request. Returns what the access handler of libmicrohttpd returns.
         */
        enum MHD_Result (*handle)(struct request *request);
};

/* Finds the route of a path; slashes too many in front and one behind do not count. NULL: none. */
const struct route *route_find(const char *path);

/* The methods of a route, as the Allow field lists them (RFC 9110, 10.2.1). */
const char *route_allow(const struct route *route);
bool route_allows(const struct route *route, const char *method);

/* The handlers, one file for each group. */
enum MHD_Result solve_handle(struct request *request);
enum MHD_Result status_handle(struct request *request);
enum MHD_Result balance_handle(struct request *request);

#endif
