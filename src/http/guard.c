/*
 * guard: see guard.h.
 */
#include "http/guard.h"

#include "access/policy.h"
#include "base/address.h"
#include "base/instance.h"
#include "config/config.h"
#include "config/site_pattern.h"
#include "gateway/gateway.h"
#include "http/auth.h"
#include "http/connection.h"
#include "http/cors.h"
#include "http/listener.h"
#include "http/refusal.h"
#include "http/request_private.h"
#include "http/route.h"
#include "http/routes.h"
#include "http/target.h"
#include "job/body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_BYTES_MAX 255

/* The host in a Host field (RFC 9110, 7.2), without port. Returns false when it is none. */
static bool host_split(const char *field, char ret_host[static HOST_BYTES_MAX + 1])
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        static const char digits[] = "0123456789";
        size_t len;

        if (field[0] == '[') {
                len = strcspn(field, "]") + 1;
                if (field[len - 1] != ']')
                        return false;
        } else {
                len = strcspn(field, ":");
                for (size_t i = 0; i < len; i++) {
                        if (!strchr(letters, field[i]) && !strchr(digits, field[i]) &&
                            !strchr(".-_", field[i]))
                                return false;
                }
        }
        if (len == 0 || len > HOST_BYTES_MAX)
                return false;
        if (field[len] == ':') {
                const char *port = field + len + 1;
                if (strspn(port, digits) != strlen(port) || strlen(port) > 5)
                        return false;
        } else if (field[len] != '\0') {
                return false;
        }
        memcpy(ret_host, field, len);
        ret_host[len] = '\0';
        return true;
}

/* Against DNS rebinding: a page's own host name that resolves to us is not ours. */
static bool host_is_ours(const struct policy *policy, char *host)
{
        size_t len = strlen(host);
        struct in6_addr address;

        if (address_parse(host, &address))
                return true;
        if (len > 0 && host[len - 1] == '.')
                host[len - 1] = '\0';
        return strcasecmp(host, "localhost") == 0 || policy_allows_name(policy, host);
}

static enum MHD_Result on_via(void *arg, enum MHD_ValueKind kind, const char *name,
                              const char *value)
{
        bool *own = arg;

        (void)kind;
        *own = *own || (strcasecmp(name, "Via") == 0 && value && strstr(value, instance_name()));
        return *own ? MHD_NO : MHD_YES;
}

/*
 * A request of this process that has come back, which its own exchange then judges as not charged.
 * It comes before Host, Origin and token, which fail for other reasons. The status is below 500: a
 * proxy on the way may replace the body by its own page, and 4xx alone still means not charged.
 */
static void check_loop(struct request *request)
{
        bool own = false;

        (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, on_via, &own);
        if (own)
                request_refuse(
                        request, 400, INSTANCE_LOOP_CODE,
                        "this solvegate has sent this request itself: the url of an upstream "
                        "leads back to it; correct that url in %s",
                        gateway_config(request->server->gateway)->file);
}

static void refuse_malformed_host(struct request *request)
{
        request_refuse(request, 400, "bad_request",
                       "the Host field, or the target's authority, is not a host and port");
        request->refusal.closes = true;
}

/* It must be valid even where it does not count (RFC 9112, 3.2). */
static void check_host_form(struct request *request)
{
        char host[HOST_BYTES_MAX + 1];

        if (!host_split(request->host, host))
                refuse_malformed_host(request);
}

/*
 * The authority of an absolute-form target takes the place of the Host field (RFC 9112, 3.2.2).
 * Returns the path.
 */
static const char *read_target(struct request *request, const char *target)
{
        const char *path = target;
        size_t len = 0;

        request->host = request_field(request, "Host");
        if (target[0] == '/')
                return target;
        const char *authority =
                target_authority(target, request->server->listener->scheme, &len, &path);
        if (!authority) {
                request_refuse(request, 400, "bad_request",
                               "the target's scheme is not the one that is spoken here, %s://",
                               request->server->listener->scheme);
                return path;
        }
        request->authority = strndup(authority, len);
        if (!request->authority)
                request_refuse(request, 503, "queue_full",
                               "solvegate has no memory for the request; try again later");
        else if (request->host)
                check_host_form(request);
        request->host = request->authority;
        return path;
}

/* Suggests only a line that the check of the configuration accepts. */
static void refuse_host(struct request *request, const char *host)
{
        const char *file = gateway_config(request->server->gateway)->file;

        if (site_pattern_host_problem(host))
                request_refuse(request, 403, "forbidden_host",
                               "solvegate is not called by the name in the Host field, which is "
                               "not a valid host name; use its address");
        else
                request_refuse(request, 403, "forbidden_host",
                               "solvegate is not called \"%s\"; use its address, or add the name "
                               "to the list: server_names = [ …, \"%s\" ]; in %s, and reload "
                               "(SIGHUP)",
                               host, host, file);
}

static void check_host(struct request *request)
{
        char host[HOST_BYTES_MAX + 1];

        /* HTTP/1.0 without one: framing.c has looked at the version. */
        if (!request->host) {
                request->host = request->server->listener->name;
                return;
        }
        if (!host_split(request->host, host)) {
                refuse_malformed_host(request);
                return;
        }
        /* No page of a browser reaches a unix socket, and who may has the right to. */
        if (request->server->kind == SERVER_FOR_CONTROL)
                return;
        if (!host_is_ours(request->server->policy, host))
                refuse_host(request, host);
}

static void check_route(struct request *request, const char *path, const char *method)
{
        request->route = route_find(request->server->kind, path);
        request->cancels = strcmp(method, "DELETE") == 0;
        if (!request->route)
                request_refuse(request, 404, "not_found", "there is nothing here; use %s",
                               route_advice(request->server->kind, path));
        else if (!request->preflight && !route_allows(request->route, method))
                request_refuse(request, 405, "method_not_allowed", "this address takes %s",
                               route_allow(request->route));
}

/* The media type without parameters (RFC 9110, 8.3.1). */
static bool content_is_json(const struct request *request)
{
        static const char json[] = "application/json";
        const char *type = request_field(request, "Content-Type");

        if (!type || strncasecmp(type, json, strlen(json)) != 0)
                return false;
        type += strlen(json);
        type += strspn(type, " \t");
        return *type == '\0' || *type == ';';
}

/* RFC 9110, 8.4: the body would go upstream compressed, and unread. */
static bool content_is_plain(const struct request *request)
{
        const char *encoding = request_field(request, "Content-Encoding");

        return !encoding || strcasecmp(encoding, "identity") == 0;
}

/* framing.c has refused what is not a number. */
static int64_t content_length(const struct request *request)
{
        const char *length = request_field(request, "Content-Length");

        if (!length)
                return BODY_LENGTH_UNKNOWN;
        return strtoll(length, NULL, 10);
}

static void check_body(struct request *request)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX];
        int64_t length = content_length(request);

        if (length == BODY_LENGTH_UNKNOWN && !request_field(request, "Transfer-Encoding")) {
                request_refuse(request, 411, "length_required",
                               "a job needs a body, with Content-Length or chunked");
                return;
        }
        if (!content_is_json(request)) {
                request_refuse(request, 415, "not_json",
                               "send the job with Content-Type: application/json");
                return;
        }
        if (!content_is_plain(request)) {
                request_refuse(request, 415, "not_json",
                               "send the job as it is, without Content-Encoding");
                return;
        }
        enum gateway_verdict verdict = gateway_admit(
                request->server->gateway, request->client, length,
                request_field(request, "Idempotency-Key") != NULL, &request->body, message);
        refusal_from_verdict(request, verdict, message);
}

/* What bounds the connections, and what to do; the operators' number is fixed. */
static void refuse_connection(struct request *request)
{
        const struct server_shared *shared = request->server->shared;
        int max = atomic_load(&shared->connections_max);

        if (request->server->kind != SERVER_FOR_TOOLS)
                request_refuse(request, 503, "too_many_connections",
                               "at most %d connections of operators may be open; close idle ones, "
                               "and try again",
                               max);
        else
                request_refuse(request, 503, "too_many_connections",
                               "at most %d connection%s may be open (%s); reuse connections, close "
                               "idle ones, or ask the operator of solvegate to raise %s",
                               max, max == 1 ? "" : "s",
                               atomic_load(&shared->waits) ? "the limit of open files"
                                                           : "limits.connections",
                               atomic_load(&shared->waits) ? "LimitNOFILE=" : "limits.connections");
}

static void refuse_address(struct request *request)
{
        int share = connection_share(request->connection);

        request_refuse(request, 503, "too_many_connections",
                       "one address may have at most %d connection%s open while half of "
                       "limits.connections are in use (limits.connections_per_address), and yours "
                       "has more; reuse connections, close idle ones, or ask the operator of "
                       "solvegate to raise limits.connections_per_address",
                       share, share == 1 ? "" : "s");
}

static void refuse_for_room(struct request *request, enum connection_room room)
{
        switch (room) {
        case CONNECTION_ROOM:
                break;
        case CONNECTION_OVER_LIMIT:
                refuse_connection(request);
                break;
        case CONNECTION_OVER_ADDRESS_LIMIT:
                refuse_address(request);
                break;
        }
}

static void check_stopping(struct request *request)
{
        if (request->server->closed)
                request_refuse(request, 503, "draining",
                               "solvegate is being stopped; ask again when it is back");
}

/* It comes when the client is known, but takes the place of every other refusal. */
static void check_room(struct request *request)
{
        struct client *client = request->has_token ? request->client : NULL;

        connection_checked(request->connection, client, request->refusal.status == 0);
        if (request->server->closed)
                return;
        enum connection_room room = connection_claim_room(request->connection);
        if (room == CONNECTION_ROOM)
                return;
        auth_end_penalty(request);
        request->refusal = (struct refusal){0};
        refuse_for_room(request, room);
}

void guard_check(struct request *request, const char *target, const char *method)
{
        check_stopping(request);
        check_loop(request);
        const char *path = read_target(request, target);
        check_host(request);
        cors_check(request, method);
        check_route(request, path, method);
        auth_check(request);
        check_room(request);
        if (request->refusal.status == 0 && request->route->kind == ROUTE_SOLVES &&
            !request->preflight)
                check_body(request);
}

/* A refused body up to the limit is read to its end, so that the connection can be kept. */
static int64_t discard_max(const struct request *request)
{
        return gateway_config(request->server->gateway)->limits.body_bytes;
}

static bool expects_continue(const struct request *request)
{
        const char *expect = request_field(request, "Expect");

        return expect && strcasecmp(expect, "100-continue") == 0;
}

bool guard_answers_at_once(const struct request *request)
{
        return expects_continue(request) && content_length(request) <= 0 &&
               !request_field(request, "Transfer-Encoding");
}

bool guard_refuses_at_once(const struct request *request)
{
        if (request->refusal.status == 0)
                return false;
        /* A connection without a seat does not get the time of a body. */
        if (expects_continue(request) || connection_ends_here(request->connection))
                return true;
        return content_length(request) > discard_max(request);
}

bool guard_discards_too_much(const struct request *request)
{
        return request->refusal.status != 0 && request->record.body_bytes > discard_max(request);
}
