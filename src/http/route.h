/*
 * route: a path, and which requests it allows. routes.h has the table of all.
 */
#ifndef SOLVEGATE_HTTP_ROUTE_H
#define SOLVEGATE_HTTP_ROUTE_H

#include "http/tally.h"

#include <microhttpd.h>
#include <stdbool.h>

struct request;

/* Whether a request needs a token, if there are clients. */
enum route_auth {
        AUTH_NONE,     /* no, and tokens are not looked at */
        AUTH_OPTIONAL, /* only to cancel; but a token that is sent must be valid */
        AUTH_REQUIRED,
};

/* What is done there, and so by which methods. */
enum route_kind {
        ROUTE_ASKS,   /* GET and HEAD */
        ROUTE_SOLVES, /* POST, with a job as the body */
        ROUTE_ORDERS, /* POST; a body does not matter */
};

struct route {
        const char *path;
        const char *family; /* what stands before `/status` in the addresses it gives out */
        enum route_kind kind;
        enum route_auth auth;
        /*
         * Called when the request is whole, and again after it was held. Queues a reply, or holds
         * the request. Returns what the access handler of libmicrohttpd returns.
         */
        enum MHD_Result (*handle)(struct request *request);
        enum MHD_Result (*cancel)(struct request *request); /* the same for DELETE; or NULL */
        enum tally_endpoint endpoint;                       /* as what it is logged and counted */
};

/* The methods of a route, as the Allow field lists them (RFC 9110, 10.2.1). */
const char *route_allow(const struct route *route);
bool route_allows(const struct route *route, const char *method);

/* Whether a token is needed, where there are clients. */
bool route_needs_client(const struct route *route, bool cancels);

#endif
