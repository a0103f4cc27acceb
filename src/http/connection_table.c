/*
 * connection_table: how connections are opened and closed, and what is received on them; see
 * connection.h.
 */
#include "http/acceptor.h"
#include "http/closer.h"
#include "http/connection_private.h"
#include "http/pause.h"
#include "http/peers.h"
#include "http/tls.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utlist.h>

#define BUSY_PAUSE_MS 250 /* a client that asks one thing after the other pauses less */

/* ---- by descriptor ---- */

struct client_connection *connection_find(const struct connection_table *table, int fd)
{
        return fd >= 0 && (size_t)fd < table->by_fd_count ? table->by_fd[fd] : NULL;
}

static int add_by_fd(struct client_connection *connection)
{
        struct connection_table *table = connection->table;
        size_t needed = (size_t)connection->fd + 1;

        if (needed > table->by_fd_count) {
                size_t count = needed * 2;
                struct client_connection **by_fd = reallocarray(table->by_fd, count, sizeof *by_fd);
                if (!by_fd)
                        return -ENOMEM;
                memset(by_fd + table->by_fd_count, 0, (count - table->by_fd_count) * sizeof *by_fd);
                table->by_fd = by_fd;
                table->by_fd_count = count;
        }
        table->by_fd[connection->fd] = connection;
        return 0;
}

static void remove_by_fd(const struct client_connection *connection)
{
        if (connection_find(connection->table, connection->fd) == connection)
                connection->table->by_fd[connection->fd] = NULL;
}

/* ---- what is received ---- */

/* A malformed message is answered when libmicrohttpd has answered those before it. */
static bool is_due(const struct client_connection *connection)
{
        return connection->framing.fault && connection->answered == connection->framing.ended;
}

static int refuse_malformed(struct client_connection *connection)
{
        const struct framing_fault *fault = connection->framing.fault;

        if (!is_due(connection))
                return -EAGAIN;
        if (connection->request)
                connection->table->events->malformed(connection->request, fault);
        else
                connection->table->events->header_refuse(
                        connection->table->server, connection->mhd, connection, CONNECTION_LINGER,
                        fault->status, fault->code, fault->message);
        return -ECONNRESET;
}

bool connection_has_tls(const struct client_connection *connection)
{
        return connection->identity != NULL;
}

int connection_may_receive(const struct client_connection *connection)
{
        if (connection->ended)
                return -ECONNRESET;
        return connection->framing.fault ? -EAGAIN : 0;
}

size_t connection_held(const struct client_connection *connection)
{
        return connection->framing.spaces;
}

ssize_t connection_release(struct client_connection *connection, void *bytes, size_t size)
{
        framing_release(&connection->framing, bytes, size);
        return (ssize_t)size;
}

ssize_t connection_receive(struct client_connection *connection, void *bytes, size_t len)
{
        struct framing *framing = &connection->framing;
        const uint64_t headers = framing->headers;
        size_t passed = framing_feed(framing, bytes, len);

        if (framing->headers != headers || framing_in_header(framing))
                pause_count_header(connection, len);
        if ((connection->phase == CONNECTION_IDLE || connection->phase == CONNECTION_UNREAD) &&
            (framing_in_message(framing) || framing->headers != headers)) {
                connection->began_us = clock_monotonic_us();
                connection_enter(connection, CONNECTION_HEADER);
        }
        if (framing->fault)
                connection->lingers = true;
        return passed > 0 || !framing->fault ? (ssize_t)passed : refuse_malformed(connection);
}

bool connection_header_checked(const struct client_connection *connection)
{
        return connection->carried <= connection->framing.headers;
}

bool connection_ends_here(const struct client_connection *connection)
{
        const struct framing *framing = &connection->framing;

        return connection->room != CONNECTION_ROOM ||
               (framing->fault && connection->answered + 1 >= framing->ended);
}

void connection_answered(struct client_connection *connection)
{
        connection->answered++;
        connection_enter(connection, framing_in_message(&connection->framing) ? CONNECTION_HEADER
                                                                              : CONNECTION_UNREAD);
}

void connection_linger(struct client_connection *connection)
{
        connection->lingers = true;
}

/* ---- opening and closing ---- */

/* The client has closed its side. */
static void on_gone(void *arg)
{
        struct client_connection *connection = arg;

        connection->gone = true;
        if (connection->held)
                connection->table->events->client_gone(connection->held);
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

/* The last one in the list (utlist: the head's prev) has been answered last. */
static bool answered_just_now(const struct client_connection *first)
{
        return first && clock_monotonic_ms() - first->prev->entered_ms < BUSY_PAUSE_MS;
}

bool connection_any_expected(const struct connection_table *table)
{
        return table->awaited[CONNECTION_HEADER] || table->awaited[CONNECTION_BEYOND] ||
               answered_just_now(table->awaited[CONNECTION_UNREAD]) ||
               answered_just_now(table->awaited[CONNECTION_IDLE]);
}

/* ---- deadlines ---- */

/* The kernel still has bytes that the client has not acknowledged (tcp(7)). */
static bool has_unread(const struct client_connection *connection)
{
        int bytes = 0;

        return ioctl(connection->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* The deadline of what was awaited has passed. */
static void expire(struct client_connection *connection)
{
        const struct connection_events *events = connection->table->events;
        int64_t limit_ms = connection->deadline_ms - connection->entered_ms;

        switch (connection->phase) {
        case CONNECTION_BEYOND:
                connection_evict(connection);
                break;
        case CONNECTION_HEADER:
                events->header_late(connection->table->server, connection->mhd, connection,
                                    limit_ms);
                break;
        case CONNECTION_BODY:
                events->body_late(connection->request, limit_ms);
                break;
        case CONNECTION_UNREAD:
                if (has_unread(connection))
                        connection_abort(connection);
                else
                        connection_become_idle(connection);
                break;
        case CONNECTION_REPLY:
                connection_abort(connection);
                break;
        case CONNECTION_IDLE:
        case CONNECTION_BUSY:
                connection_close_idle(connection);
                break;
        }
}

/* ---- opening ---- */

static struct peer *join_peers(const struct server *server, struct MHD_Connection *mhd)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

        if (!server->shared->by_address)
                return NULL;
        return peers_join(&server->shared->peers, info ? info->client_addr : NULL);
}

/* Its bytes cannot be checked without memory for its place. */
static void turn_away(struct client_connection *connection)
{
        connection->turned_away = true;
        connection->ended = true;
        (void)shutdown(connection->fd, SHUT_RDWR);
}

static void connection_open(struct server *server, struct MHD_Connection *mhd, void **ret_context)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct client_connection *connection = calloc(1, sizeof *connection);
        int fd = info ? info->connect_fd : -1;

        (void)atomic_fetch_add(&server->shared->connections, 1);
        (void)atomic_fetch_add(&server->shared->files, 1);
        *ret_context = connection;
        if (!connection) {
                (void)shutdown(fd, SHUT_RDWR);
                return; /* should a request come, it is refused for want of a connection */
        }
        connection->table = server->connections;
        connection->mhd = mhd;
        connection->fd = fd;
        connection->phase = CONNECTION_BUSY;
        connection->began_us = clock_monotonic_us();
        framing_init(&connection->framing);
        connection->peer = join_peers(server, mhd);
        if (!connection_has_file(connection) || add_by_fd(connection) < 0)
                turn_away(connection);
        else
                connection_find_room(connection);
        if (server->inactivity_s != server->inactivity_first_s)
                (void)MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT,
                                                server->inactivity_s);
        if (server->identity)
                begin_handshake(connection, server->identity);
        /* Without a watch, for want of memory, its deadlines remain. */
        (void)loop_watch_new(server->loop, fd, on_gone, connection, &connection->watch);
        connection_enter(connection, connection->room == CONNECTION_ROOM ? CONNECTION_HEADER
                                                                         : CONNECTION_BEYOND);
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
               !connection->turned_away &&
               (connection->phase == CONNECTION_HEADER || connection->phase == CONNECTION_BEYOND) &&
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
        peer_address(info ? info->client_addr : NULL, address);
        const struct log_field fields[] = {
                LOG_TEXT("address", address[0] ? address : "-"),
                LOG_TEXT("detail", detail),
        };
        log_event(LOG_LEVEL_INFO, "handshake failed", fields, sizeof fields / sizeof *fields);
}

static void connection_closed(struct server *server, struct client_connection *connection)
{
        (void)atomic_fetch_sub(&server->shared->connections, 1);
        (void)atomic_fetch_sub(&server->shared->files, 1);
        if (server->acceptor)
                acceptor_resume(server->acceptor);
        if (!connection)
                return;
        if (is_failed_handshake(connection))
                tell_of_handshake(server, connection);
        assert(!connection->is_paused);
        connection_leave_phase(connection);
        end_handshake(connection);
        remove_by_fd(connection);
        connection_leave_room(connection);
        connection_set_client(connection, NULL);
        peers_leave(&server->shared->peers, connection->peer);
        if (connection->lingers && !server->closed)
                closer_add(connection->table->closer, connection->fd);
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
        if (connection && connection->phase == CONNECTION_UNREAD)
                connection_enter(connection, CONNECTION_HEADER);
        return NULL; /* there is no request yet */
}

void connection_carry(struct client_connection *connection, struct request *request)
{
        connection->request = request;
        connection->carried += request != NULL;
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

/* ---- the table ---- */

void connection_table_free(struct connection_table *table)
{
        if (!table)
                return;
        closer_free(table->closer);
        loop_timer_free(table->timer);
        free(table->by_fd);
        free(table);
}

int connection_table_new(struct server *server, const struct connection_events *events,
                         struct connection_table **ret_table)
{
        struct connection_table *table = calloc(1, sizeof *table);

        if (!table)
                return -ENOMEM;
        table->server = server;
        table->events = events;
        table->expire = expire;
        int r = connection_deadlines_init(table);
        if (r == 0)
                r = closer_new(server->loop, &server->shared->files, &table->closer);
        if (r < 0) {
                connection_table_free(table);
                return r;
        }
        *ret_table = table;
        return 0;
}

void connection_table_end(struct connection_table *table)
{
        for (size_t fd = 0; fd < table->by_fd_count; fd++) {
                const struct client_connection *connection = table->by_fd[fd];
                if (connection && connection->identity && connection->progress == TLS_FINISHED)
                        tls_end(connection->mhd);
        }
}
