/*
 * cors: see cors.h.
 */
#include "http/cors.h"

#include "access/policy.h"
#include "config/config.h"
#include "config/config_origin.h"
#include "gateway/gateway.h"
#include "http/listener.h"
#include "http/refusal.h"
#include "http/request_private.h"
#include "http/route.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MAX_AGE_S "600" /* so long a browser need not ask again */

/* What a page may send and read beyond what browsers allow anyway. */
#define ALLOWED_FIELDS                                                                             \
        "apikey, authorization, cache-control, content-type, idempotency-key, prefer, uid"
#define EXPOSED_FIELDS                                                                             \
        "Age, Cache-Status, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, "        \
        "WWW-Authenticate, X-Request-Id"

struct seen {
        const char *origin; /* NULL: no such field */
        bool several;
};

static enum MHD_Result on_field(void *arg, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
        struct seen *seen = arg;

        (void)kind;
        if (strcasecmp(name, "Origin") != 0)
                return MHD_YES;
        seen->several = seen->origin != NULL;
        seen->origin = value ? value : "";
        return MHD_YES;
}

/* Whether the page came from here. */
static bool is_own(const struct request *request, const char *origin)
{
        const char *scheme = request->server->listener->scheme;
        size_t len = strlen(scheme);

        return request->host && strncmp(origin, scheme, len) == 0 &&
               strncmp(origin + len, "://", 3) == 0 &&
               strcasecmp(origin + len + 3, request->host) == 0;
}

/* Origins are listed for tools; operators may have pages of the same address, and no page reaches
 * the admin socket but by a proxy that should not be there. */
static bool may_call(const struct request *request, const struct seen *seen)
{
        if (seen->several)
                return false;
        switch (request->server->kind) {
        case SERVER_FOR_TOOLS:
                return policy_allows_origin(request->server->policy, seen->origin);
        case SERVER_FOR_OPERATORS:
                return is_own(request, seen->origin);
        case SERVER_FOR_CONTROL:
                break;
        }
        return false;
}

/* What the operator could do about an origin that is not listed; nothing, if it cannot be. */
static void refuse_unlisted(struct request *request, const char *origin)
{
        const char *file = gateway_config(request->server->gateway)->file;

        if (strcmp(origin, "null") == 0)
                request_refuse(request, 403, "forbidden_origin",
                               "a page without an origin (a file, a sandbox) may not call, and "
                               "cannot be allowed; serve the page from a web server");
        else if (config_origin_problem(origin))
                request_refuse(request, 403, "forbidden_origin",
                               "the Origin field is not an origin that can be allowed; browsers "
                               "send SCHEME://HOST or SCHEME://HOST:PORT");
        else
                request_refuse(request, 403, "forbidden_origin",
                               "pages of \"%s\" may not call; if they are yours, add the origin to "
                               "the list: origins = [ …, \"%s\" ]; in %s, and reload (SIGHUP)",
                               origin, origin, file);
}

static void refuse(struct request *request, const struct seen *seen)
{
        if (seen->several)
                request_refuse(request, 403, "forbidden_origin",
                               "the Origin field stands there more than once; send it once");
        else if (request->server->kind == SERVER_FOR_CONTROL)
                request_refuse(request, 403, "forbidden_origin",
                               "no page may call the admin socket");
        else if (request->server->kind != SERVER_FOR_TOOLS)
                request_refuse(request, 403, "forbidden_origin",
                               "only pages that came from this address may call it");
        else
                refuse_unlisted(request, seen->origin);
}

void cors_check(struct request *request, const char *method)
{
        struct seen seen = {0};

        (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, on_field, &seen);
        if (!seen.origin)
                return;
        if (!may_call(request, &seen)) {
                refuse(request, &seen);
                return;
        }
        if (request->server->kind != SERVER_FOR_TOOLS)
                return; /* to its own pages a browser shows every answer */
        request->origin = seen.origin;
        request->preflight = strcmp(method, "OPTIONS") == 0 &&
                             request_field(request, "Access-Control-Request-Method");
}

void cors_check_again(struct request *request)
{
        const struct seen seen = {.origin = request->origin};

        if (request->refusal.status != 0 || !request->origin || may_call(request, &seen))
                return;
        request->origin = NULL;
        refuse(request, &seen);
}

void cors_add_fields(const struct request *request, struct MHD_Response *response)
{
        if (!request->origin)
                return;
        (void)MHD_add_response_header(response, "Access-Control-Allow-Origin", request->origin);
        (void)MHD_add_response_header(response, "Access-Control-Expose-Headers", EXPOSED_FIELDS);
        (void)MHD_add_response_header(response, "Vary", "Origin");
}

struct MHD_Response *cors_preflight_response(const struct request *request)
{
        struct MHD_Response *response =
                MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        const char *private_network =
                request_field(request, "Access-Control-Request-Private-Network");

        if (!response)
                return NULL;
        (void)MHD_add_response_header(response, "Access-Control-Allow-Methods",
                                      route_allow(request->route));
        (void)MHD_add_response_header(response, "Access-Control-Allow-Headers", ALLOWED_FIELDS);
        (void)MHD_add_response_header(response, "Access-Control-Max-Age", MAX_AGE_S);
        if (private_network && strcmp(private_network, "true") == 0)
                (void)MHD_add_response_header(response, "Access-Control-Allow-Private-Network",
                                              "true");
        return response;
}
