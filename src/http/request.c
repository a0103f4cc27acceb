/*
 * request: see request.h.
 */
#include "http/request.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/loop.h"
#include "gateway/gateway.h"
#include "http/auth.h"
#include "http/connection.h"
#include "http/cors.h"
#include "http/framing.h"
#include "http/guard.h"
#include "http/hold.h"
#include "http/parse.h"
#include "http/pause.h"
#include "http/peers.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_log.h"
#include "http/request_private.h"
#include "http/route.h"
#include "job/body.h"
#include "job/job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define ORDER_BYTES_MAX 65536 /* of a body that does not matter */

/* By the policy of a reload that came meanwhile. */
static void judge_again(struct request *request)
{
        if (request->reloads == request->server->reloads)
                return;
        request->reloads = request->server->reloads;
        cors_check_again(request);
        auth_check_again(request);
}

void request_revoke_all(struct server *server)
{
        struct request *request, *next;

        server->reloads++;
        DL_FOREACH_SAFE2 (server->held, request, next, held_next) {
                if (request->refusal.status != 0)
                        continue;
                judge_again(request);
                if (request->refusal.status != 0)
                        hold_end(request);
        }
}

/* ---- the phases ---- */

static void read_address(struct request *request)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

        peer_address(info ? info->client_addr : NULL, request->address);
}

static void request_init(struct request *request, struct server *server, struct MHD_Connection *mhd,
                         struct client_connection *connection)
{
        request->server = server;
        request->mhd = mhd;
        request->connection = connection;
        request->phase = REQUEST_HEADERS;
        read_address(request);
        request_log_begin(request, connection_request_began_us(connection));
}

static struct request *request_new(struct server *server, struct MHD_Connection *mhd)
{
        struct client_connection *connection = connection_of(mhd);
        struct request *request = connection ? calloc(1, sizeof *request) : NULL;

        if (!request)
                return NULL;
        request_init(request, server, mhd, connection);
        connection_carry(connection, request);
        pause_count_request(connection);
        server->requests++;
        return request;
}

/* The request is whole, for the first time or after it was held. */
static enum MHD_Result on_ready(struct request *request)
{
        request->phase = REQUEST_READY;
        if (request->server->closed && !request->job)
                request_refuse(request, 503, "draining",
                               "solvegate is being stopped; ask again when it is back");
        judge_again(request);
        if (request->refusal.status != 0) {
                gateway_submission_abandon(request->pending);
                request->pending = NULL;
                return auth_hold(request) ? MHD_YES : reply_refusal(request);
        }
        if (request->preflight)
                return reply_no_content(request, cors_preflight_response(request));
        return request->cancels ? request->route->cancel(request) : request->route->handle(request);
}

static enum MHD_Result on_headers(struct request *request, const char *url, const char *method)
{
        request->record.method = request_log_method(method);
        guard_check(request, url, method);
        if (guard_refuses_at_once(request)) {
                connection_linger(request->connection);
                if (request->penalty_ms > 0)
                        auth_turn_away(request);
                return reply_refusal(request);
        }
        request->phase = REQUEST_BODY;
        connection_enter(request->connection, CONNECTION_BODY);
        return guard_answers_at_once(request) ? on_ready(request) : MHD_YES;
}

static enum MHD_Result on_body(struct request *request, const char *upload, size_t bytes)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX];

        if (request->record.cut)
                return MHD_YES; /* the next read ends the connection */
        connection_nudge(request->connection);
        request->record.body_bytes += (int64_t)bytes;
        if (request->body) {
                int r = body_append(request->body, upload, bytes);
                if (r == 0)
                        return MHD_YES;
                refusal_from_verdict(request,
                                     gateway_body_verdict(request->server->gateway, r, message),
                                     message);
        } else if (request->route && request->route->kind == ROUTE_ORDERS) {
                if (request->discarded_bytes + (int64_t)bytes > ORDER_BYTES_MAX)
                        request_refuse(request, 413, "too_large", "no body is needed here");
        } else if (request->refusal.status == 0) {
                request_refuse(request, 400, "bad_request", "a body is taken with POST only");
        }
        request->discarded_bytes += (int64_t)bytes;
        if (guard_discards_too_much(request)) {
                if (request->penalty_ms > 0)
                        auth_turn_away(request);
                reply_cut(request, CONNECTION_LINGER);
                return MHD_NO;
        }
        return MHD_YES;
}

static void request_cut(struct request *request, enum connection_end end, unsigned status,
                        const char *code, const char *message)
{
        /* Whatever else was wrong with it, this is why it ends. */
        request->refusal = (struct refusal){0};
        request_refuse(request, status, code, "%s", message);
        reply_cut(request, end);
}

/* Long enough for any message of describe_late(). */
#define LATE_BYTES_MAX 128

static void describe_late(const char *part, const char *key, int64_t limit_ms,
                          char ret_message[static LATE_BYTES_MAX])
{
        (void)snprintf(ret_message, LATE_BYTES_MAX, "the %s did not arrive within %g s (%s)", part,
                       (double)limit_ms / 1000, key);
}

static void request_body_late(struct request *request, int64_t limit_ms)
{
        char message[LATE_BYTES_MAX];

        describe_late("body", "limits.body_timeout", limit_ms, message);
        request_cut(request, CONNECTION_SHUT, 408, "request_timeout", message);
}

static void request_malformed(struct request *request, const struct framing_fault *fault)
{
        request_cut(request, CONNECTION_LINGER, fault->status, fault->code, fault->message);
        request->record.error = REQUEST_LOG_MALFORMED;
}

static void request_header_refuse(struct server *server, struct MHD_Connection *mhd,
                                  struct client_connection *connection, enum connection_end end,
                                  unsigned status, const char *code, const char *message)
{
        struct request request = {0};

        request_init(&request, server, mhd, connection);
        request_refuse(&request, status, code, "%s", message);
        reply_cut(&request, end);
        if (status == 400)
                request.record.error = REQUEST_LOG_MALFORMED;
        request_log_end(&request, REQUEST_ANSWERED);
}

static void request_header_late(struct server *server, struct MHD_Connection *mhd,
                                struct client_connection *connection, int64_t limit_ms)
{
        char message[LATE_BYTES_MAX];

        describe_late("header", "limits.header_timeout", limit_ms, message);
        request_header_refuse(server, mhd, connection, CONNECTION_SHUT, 408, "request_timeout",
                              message);
}

const struct connection_events request_connection_events = {
        .client_gone = hold_end,
        .cut = request_cut,
        .malformed = request_malformed,
        .body_late = request_body_late,
        .header_refuse = request_header_refuse,
        .header_late = request_header_late,
};

/* If libmicrohttpd reads by other means than those of receive.h, no request is served. */
static bool was_checked(const struct request *request)
{
        static struct log_limit unchecked =
                LOG_LIMIT(LOG_LEVEL_ERROR, "requests that were not checked", 1, 1);

        if (connection_header_checked(request->connection))
                return true;
        if (log_limit_take(&unchecked, clock_monotonic_us()))
                log_error("libmicrohttpd does not read with recv(2) or gnutls_record_recv(3), so "
                          "requests cannot be checked, and are not served; install the version "
                          "that solvegate was built for");
        return false;
}

enum MHD_Result request_on_access(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **request_arg)
{
        struct request *request = *request_arg;

        (void)version;
        if (!request) {
                request = request_new(arg, mhd);
                *request_arg = request;
                return request && was_checked(request) ? on_headers(request, url, method) : MHD_NO;
        }
        if (*upload_bytes > 0) {
                size_t bytes = *upload_bytes;
                *upload_bytes = 0;
                pause_count_body(request->connection, bytes);
                return on_body(request, upload, bytes);
        }
        /* libmicrohttpd may call once more after a reply was queued. */
        return request->phase == REQUEST_DONE ? MHD_YES : on_ready(request);
}

static void request_free(struct request *request)
{
        assert(request->phase != REQUEST_SUSPENDED && !request->waiter.armed);
        loop_timer_free(request->hold_timer);
        auth_end_penalty(request);
        parse_end(request);
        gateway_submission_abandon(request->pending);
        body_unref(request->body);
        job_unref(request->job);
        free(request->authority);
        request->server->requests--;
        free(request);
}

static enum request_end end_of(const struct request *request, enum MHD_RequestTerminationCode code)
{
        if (request->record.cut)
                return REQUEST_ANSWERED;
        switch (code) {
        case MHD_REQUEST_TERMINATED_COMPLETED_OK:
                return connection_was_reset(request->connection) ? REQUEST_CLIENT_GONE
                                                                 : REQUEST_ANSWERED;
        case MHD_REQUEST_TERMINATED_WITH_ERROR:
                return request->record.status == 0 ? REQUEST_MALFORMED : REQUEST_CLIENT_GONE;
        case MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN:
                return REQUEST_CLOSED;
        case MHD_REQUEST_TERMINATED_TIMEOUT_REACHED:
        case MHD_REQUEST_TERMINATED_READ_ERROR:
        case MHD_REQUEST_TERMINATED_CLIENT_ABORT:
                break;
        }
        return REQUEST_CLIENT_GONE;
}

void request_on_completed(void *arg, struct MHD_Connection *mhd, void **request_arg,
                          enum MHD_RequestTerminationCode code)
{
        struct request *request = *request_arg;

        (void)arg;
        (void)mhd;
        if (!request)
                return;
        if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
                connection_answered(request->connection);
                hold_answered(request);
        }
        request_log_end(request, end_of(request, code));
        connection_carry(request->connection, NULL);
        *request_arg = NULL;
        request_free(request);
}
