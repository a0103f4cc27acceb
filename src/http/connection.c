/*
 * connection: the connections of a server, and how long each may take.
 *
 * libmicrohttpd's own time-out measures inactivity, so a client that drips a byte a second is
 * never cut. Here each phase has an absolute deadline. There is a list for each phase, sorted by
 * deadline, and one timer looks at their heads. All deadlines of one phase are equally long, but
 * for a while after a reload has shortened them, so each new one belongs at the end, or near it.
 */
#include "http/caller.h"
#include "http/reply.h"
#include "http/server_private.h"
#include "http/tls.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/loop.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "engine/gateway.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#define TICK_MS           100
#define BUSY_PAUSE_MS     250 /* a client that asks one thing after the other pauses less */
#define CUT_REPLY_BYTES   (REFUSAL_BYTES_MAX * 6 + 256) /* every byte of a message escaped */
#define PHASES_WITH_LIMIT CONNECTION_BUSY

struct client_connection {
        struct connection_table *table;
        struct MHD_Connection *mhd;
        struct tls_identity *identity; /* the one it was opened under, a reference, which outlives
                                          its TLS; NULL: plain HTTP */
        int fd;                        /* libmicrohttpd's */
        struct loop_watch *watch;      /* tells when the client closes its side; or NULL */
        bool gone;                     /* it has */
        bool over_limit;
        bool turned_away;        /* it was ended as soon as it was opened */
        struct request *request; /* the one that is under way, or NULL */
        int64_t began_us;     /* monotonic: when its first line had come; before: the connection */
        struct request *held; /* the request whose hold ends when the client goes, or NULL */
        enum connection_phase phase;
        int64_t deadline_ms; /* valid unless CONNECTION_BUSY */
        struct client_connection *prev, *next;
        enum tls_progress progress; /* valid with an identity */
        bool handshaking;           /* its TLS handshake was not over when it was last looked at */
        struct client_connection *handshake_prev, *handshake_next; /* valid with handshaking */
};

struct connection_table {
        struct server *server;
        struct loop_timer *timer;
        bool ticking;
        struct client_connection
                *awaited[PHASES_WITH_LIMIT];  /* by phase; the first due at the head */
        struct client_connection *handshakes; /* the oldest at the head */
};

static int64_t phase_limit_ms(const struct connection_table *table, enum connection_phase phase)
{
        const struct config *config = gateway_config(table->server->gateway);

        switch (phase) {
        case CONNECTION_HEADER:
                return config->limits.header_timeout_ms;
        case CONNECTION_IDLE:
                return CONNECTION_IDLE_TIMEOUT_MS;
        case CONNECTION_BODY:
                return config->limits.body_timeout_ms;
        case CONNECTION_BUSY:
                break;
        }
        return 0;
}

static void leave_phase(struct client_connection *connection)
{
        if (connection->phase != CONNECTION_BUSY)
                DL_DELETE(connection->table->awaited[connection->phase], connection);
        connection->phase = CONNECTION_BUSY;
}

/* Those that entered before a reload may have later deadlines. */
static void await(struct connection_table *table, struct client_connection *connection)
{
        struct client_connection **list = &table->awaited[connection->phase];
        struct client_connection *before = *list ? (*list)->prev : NULL; /* the last */

        while (before && before->deadline_ms > connection->deadline_ms)
                before = before == *list ? NULL : before->prev;
        if (before)
                DL_APPEND_ELEM(*list, before, connection);
        else
                DL_PREPEND(*list, connection);
}

void connection_enter(struct client_connection *connection, enum connection_phase phase)
{
        struct connection_table *table = connection->table;

        leave_phase(connection);
        if (phase == CONNECTION_BUSY)
                return;
        connection->phase = phase;
        connection->deadline_ms = clock_monotonic_ms() + phase_limit_ms(table, phase);
        await(table, connection);
        if (!table->ticking) {
                loop_timer_start(table->timer, TICK_MS, TICK_MS);
                table->ticking = true;
        }
        connection_nudge(connection);
}

void connection_nudge(struct client_connection *connection)
{
        if (connection->gone && !connection->held)
                (void)shutdown(connection->fd, SHUT_RD);
}

/* Whether it fits the socket's buffer or not, the connection ends after it. */
static void send_last(const struct client_connection *connection, const struct strbuf *reply)
{
        if (connection->identity)
                tls_send_last(connection->mhd, reply->data, reply->len);
        else
                (void)send(connection->fd, reply->data, reply->len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void connection_cut(struct client_connection *connection, unsigned status, const char *code,
                    const char *message, struct reply_field field, const char *request_id)
{
        struct strbuf reply, body;

        strbuf_init(&reply, CUT_REPLY_BYTES * 2);
        strbuf_init(&body, CUT_REPLY_BYTES);
        reply_append_error(&body, status, code, message);
        (void)strbuf_printf(&reply, "HTTP/1.1 %u %s\r\n", status,
                            MHD_get_reason_phrase_for(status));
        if (field.name)
                (void)strbuf_printf(&reply, "%s: %s\r\n", field.name, field.value);
        if (request_id)
                (void)strbuf_printf(&reply, "X-Request-Id: %s\r\n", request_id);
        (void)strbuf_printf(&reply,
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n"
                            "Connection: close\r\n\r\n%s",
                            body.len, body.failed ? "" : body.data);
        if (!body.failed && !reply.failed)
                send_last(connection, &reply);
        strbuf_done(&reply);
        strbuf_done(&body);
        leave_phase(connection);
        (void)shutdown(connection->fd, SHUT_RDWR);
}

/* The deadline of what was awaited has passed. */
static void connection_expire(struct client_connection *connection)
{
        switch (connection->phase) {
        case CONNECTION_HEADER:
                request_header_late(connection->table->server, connection->mhd, connection);
                break;
        case CONNECTION_BODY:
                request_body_late(connection->request);
                break;
        case CONNECTION_IDLE:
        case CONNECTION_BUSY:
                leave_phase(connection);
                (void)shutdown(connection->fd, SHUT_RDWR);
                break;
        }
}

static void on_tick(void *arg)
{
        struct connection_table *table = arg;
        int64_t now_ms = clock_monotonic_ms();
        bool any = false;

        for (int phase = 0; phase < PHASES_WITH_LIMIT; phase++) {
                struct client_connection **list = &table->awaited[phase];
                while (*list && (*list)->deadline_ms <= now_ms)
                        connection_expire(*list);
                any = any || *list;
        }
        if (!any) {
                loop_timer_stop(table->timer);
                table->ticking = false;
        }
}

int connection_table_new(struct server *server, struct connection_table **ret_table)
{
        struct connection_table *table = calloc(1, sizeof *table);

        if (!table)
                return -ENOMEM;
        table->server = server;
        int r = loop_timer_new(server->loop, on_tick, table, &table->timer);
        if (r < 0) {
                free(table);
                return r;
        }
        *ret_table = table;
        return 0;
}

void connection_table_free(struct connection_table *table)
{
        if (!table)
                return;
        loop_timer_free(table->timer);
        free(table);
}

/* The client has closed its side. */
static void on_gone(void *arg)
{
        struct client_connection *connection = arg;

        connection->gone = true;
        if (connection->held)
                request_client_gone(connection->held);
        else
                connection_nudge(connection);
}

static void begin_handshake(struct client_connection *connection, struct tls_identity *identity)
{
        connection->identity = tls_identity_ref(identity);
        if (tls_begin(connection->mhd, identity, &connection->progress) < 0) {
                (void)shutdown(connection->fd, SHUT_RDWR);
                connection->turned_away = true;
        }
        connection->handshaking = true;
        DL_APPEND2(connection->table->handshakes, connection, handshake_prev, handshake_next);
}

static void end_handshake(struct client_connection *connection)
{
        if (connection->handshaking)
                DL_DELETE2(connection->table->handshakes, connection, handshake_prev,
                           handshake_next);
        connection->handshaking = false;
}

bool connection_any_handshake(struct connection_table *table)
{
        while (table->handshakes && tls_handshake_is_over(table->handshakes->mhd))
                end_handshake(table->handshakes);
        return table->handshakes;
}

bool connection_any_expected(const struct connection_table *table)
{
        const struct client_connection *first = table->awaited[CONNECTION_IDLE];

        if (table->awaited[CONNECTION_HEADER])
                return true;
        if (!first)
                return false;
        /* The last one in the list (utlist: the head's prev) became idle last. */
        int64_t since_ms = first->prev->deadline_ms - CONNECTION_IDLE_TIMEOUT_MS;
        return clock_monotonic_ms() - since_ms < BUSY_PAUSE_MS;
}

static void connection_open(struct server *server, struct MHD_Connection *mhd, void **ret_context)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct client_connection *connection = calloc(1, sizeof *connection);
        int max = atomic_load(&server->shared->connections_max);
        int before = atomic_fetch_add(&server->shared->connections, 1);
        int fd = info ? info->connect_fd : -1;
        bool too_many = before >= max + SERVER_CONNECTIONS_BEYOND_LIMIT;

        *ret_context = connection;
        if (!connection || too_many)
                (void)shutdown(fd, SHUT_RDWR);
        if (!connection)
                return; /* should a request come, it is refused for want of a connection */
        connection->table = server->connections;
        connection->mhd = mhd;
        connection->fd = fd;
        connection->over_limit = before >= max;
        connection->turned_away = too_many;
        connection->phase = CONNECTION_BUSY;
        connection->began_us = clock_monotonic_us();
        if (server->inactivity_s != server->inactivity_first_s)
                (void)MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT,
                                                server->inactivity_s);
        if (server->identity)
                begin_handshake(connection, server->identity);
        /* Without a watch, for want of memory, its deadlines remain. */
        (void)loop_watch_new(server->loop, fd, on_gone, connection, &connection->watch);
        connection_enter(connection, CONNECTION_HEADER);
}

/*
 * Whether it has sent anything; a health check, or who looks for open ports, has not. The kernel
 * counts its end as a byte.
 */
static bool has_sent(const struct client_connection *connection)
{
        struct tcp_info info = {0};
        socklen_t len = sizeof info;

        return getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
               info.tcpi_bytes_received > 1;
}

/* One that solvegate has ended, at once, late or at the stop, is none. */
static bool is_failed_handshake(const struct client_connection *connection)
{
        return connection->identity && connection->progress != TLS_FINISHED &&
               !connection->turned_away && connection->phase == CONNECTION_HEADER &&
               !connection->table->server->closed && has_sent(connection);
}

/* Its tool sees an end without a reason: libmicrohttpd sends none. */
static void tell_of_handshake(struct server *server, const struct client_connection *connection)
{
        static struct log_limit failed =
                LOG_LIMIT(LOG_LEVEL_INFO, "failed handshakes of TLS", 200, 20);
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        const char *detail = connection->progress == TLS_SILENT
                                     ? "what came is not TLS; the tool may use http:// in place of "
                                       "https://"
                                     : "the tool has broken it off, or speaks no TLS that is taken "
                                       "here; it may not trust the certificate";
        char address[JOB_ADDRESS_CHARS];

        (void)atomic_fetch_add(&server->shared->handshakes_failed, 1);
        if (!log_enabled(LOG_LEVEL_INFO) || !log_limit_take(&failed, clock_monotonic_us()))
                return;
        caller_address(info ? info->client_addr : NULL, address);
        const struct log_field fields[] = {
                LOG_TEXT("address", address[0] ? address : "-"),
                LOG_TEXT("detail", detail),
        };
        log_event(LOG_LEVEL_INFO, "handshake failed", fields, sizeof fields / sizeof *fields);
}

static void connection_closed(struct server *server, struct client_connection *connection)
{
        (void)atomic_fetch_sub(&server->shared->connections, 1);
        /* A daemon that stopped accepting for want of room looks for it only when it is run. */
        server->again = true;
        if (!connection)
                return;
        if (is_failed_handshake(connection))
                tell_of_handshake(server, connection);
        leave_phase(connection);
        end_handshake(connection);
        loop_watch_free(connection->watch);
        tls_identity_unref(connection->identity);
        free(connection);
}

void connection_on_notify(void *arg, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
        struct server *server = arg;

        switch (code) {
        case MHD_CONNECTION_NOTIFY_STARTED:
                connection_open(server, mhd, socket_context);
                break;
        case MHD_CONNECTION_NOTIFY_CLOSED:
                connection_closed(server, *socket_context);
                *socket_context = NULL;
                break;
        }
}

void *connection_on_request_line(void *arg, const char *uri, struct MHD_Connection *mhd)
{
        struct client_connection *connection = connection_of(mhd);

        (void)arg;
        (void)uri;
        if (connection)
                connection->began_us = clock_monotonic_us();
        if (connection && connection->phase == CONNECTION_IDLE)
                connection_enter(connection, CONNECTION_HEADER);
        return NULL; /* there is no request yet */
}

void connection_carry(struct client_connection *connection, struct request *request)
{
        connection->request = request;
}

int64_t connection_request_began_us(const struct client_connection *connection)
{
        return connection->began_us;
}

/* An answer that is sent to a closed socket is answered with RST, which the socket remembers. */
bool connection_was_reset(const struct client_connection *connection)
{
        socklen_t len = sizeof(int);
        int error = 0;

        if (!connection->gone)
                return false;
        (void)getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        return error != 0;
}

bool connection_hold(struct client_connection *connection, struct request *request)
{
        if (connection->gone)
                return false;
        connection->held = request;
        return true;
}

void connection_unhold(struct client_connection *connection)
{
        connection->held = NULL;
}

struct client_connection *connection_of(struct MHD_Connection *mhd)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        return info ? info->socket_context : NULL;
}

bool connection_over_limit(const struct client_connection *connection)
{
        return connection->over_limit;
}
