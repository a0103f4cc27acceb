/*
 * connection_deadline: how long each connection may take, and how it is cut.
 *
 * libmicrohttpd's own time-out measures inactivity, so a client that drips a byte a second is
 * never cut. Here each phase has an absolute deadline. One heap has the deadlines of all phases,
 * and a timer looks at its first. It is not a list, since connections from before a reload may have
 * later deadlines than new ones. Each phase also has a list of its connections, the oldest first.
 */
#include "http/connection_private.h"
#include "http/refusal.h"
#include "http/request_private.h"

#include "base/clock.h"
#include "base/loop.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "gateway/gateway.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <utlist.h>

#define TICK_MS         100
#define STALL_MS        1000 /* a tick that is so late: the process was stopped */
#define CUT_REPLY_BYTES (REFUSAL_BYTES_MAX * 6 + 256) /* every byte of a message escaped */

/* ---- phases ---- */

static int64_t phase_limit_ms(const struct connection_table *table, enum connection_phase phase)
{
        const struct config *config = gateway_config(table->server->gateway);

        switch (phase) {
        case CONNECTION_BEYOND:
                return config->limits.header_timeout_ms < CONNECTION_BEYOND_TIMEOUT_MS
                               ? config->limits.header_timeout_ms
                               : CONNECTION_BEYOND_TIMEOUT_MS;
        case CONNECTION_HEADER:
                return config->limits.header_timeout_ms;
        case CONNECTION_BODY:
        case CONNECTION_REPLY:
                return config->limits.body_timeout_ms;
        case CONNECTION_UNREAD:
                return config->limits.body_timeout_ms < CONNECTION_IDLE_TIMEOUT_MS
                               ? config->limits.body_timeout_ms
                               : CONNECTION_IDLE_TIMEOUT_MS;
        case CONNECTION_IDLE:
                return CONNECTION_IDLE_TIMEOUT_MS;
        case CONNECTION_BUSY:
                break;
        }
        return 0;
}

static struct client_connection *connection_of_node(const struct heap_node *node)
{
        return (struct client_connection *)((char *)(uintptr_t)node -
                                            offsetof(struct client_connection, by_deadline));
}

static bool due_before(const struct heap_node *a, const struct heap_node *b)
{
        return connection_of_node(a)->deadline_ms < connection_of_node(b)->deadline_ms;
}

void connection_leave_phase(struct client_connection *connection)
{
        struct connection_table *table = connection->table;

        if (connection->phase != CONNECTION_BUSY) {
                DL_DELETE(table->awaited[connection->phase], connection);
                heap_remove(&table->by_deadline, &connection->by_deadline, due_before);
        }
        connection->phase = CONNECTION_BUSY;
}

static void enter_at(struct client_connection *connection, enum connection_phase phase,
                     int64_t now_ms)
{
        struct connection_table *table = connection->table;

        connection_leave_phase(connection);
        if (phase == CONNECTION_BUSY || connection->ended)
                return;
        connection->phase = phase;
        connection->entered_ms = now_ms;
        connection->deadline_ms = now_ms + phase_limit_ms(table, phase);
        DL_APPEND(table->awaited[phase], connection);
        heap_insert(&table->by_deadline, &connection->by_deadline, due_before);
        if (!table->ticking) {
                loop_timer_start(table->timer, TICK_MS, TICK_MS);
                table->ticking = true;
                table->ticked_ms = clock_monotonic_ms();
        }
}

void connection_enter(struct client_connection *connection, enum connection_phase phase)
{
        enter_at(connection, phase, clock_monotonic_ms());
        connection_nudge(connection);
}

void connection_nudge(struct client_connection *connection)
{
        if (connection->gone && !connection->held)
                (void)shutdown(connection->fd, SHUT_RD);
}

/* ---- the end of a connection ---- */

/* Whether it fits the socket's buffer or not, the connection ends after it. */
static void send_last(const struct client_connection *connection, const struct strbuf *reply)
{
        if (connection->identity)
                tls_send_last(connection->mhd, reply->data, reply->len);
        else
                (void)send(connection->fd, reply->data, reply->len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void connection_cut(struct client_connection *connection, enum connection_end end, unsigned status,
                    const char *code, const char *message, const struct reply_field *field,
                    const char *request_id)
{
        struct strbuf reply, body;

        strbuf_init(&reply, CUT_REPLY_BYTES * 2);
        strbuf_init(&body, CUT_REPLY_BYTES);
        refusal_append(&body, status, code, message);
        (void)strbuf_printf(&reply, "HTTP/1.1 %u %s\r\n", status,
                            MHD_get_reason_phrase_for(status));
        if (field->name)
                (void)strbuf_printf(&reply, "%s: %s\r\n", field->name, field->value);
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
        connection_leave_phase(connection);
        connection->ended = true;
        connection->lingers = true;
        if (end == CONNECTION_SHUT)
                (void)shutdown(connection->fd, SHUT_RDWR);
}

void connection_abort(struct client_connection *connection)
{
        const struct linger reset = {.l_onoff = 1, .l_linger = 0};

        connection_leave_phase(connection);
        connection->ended = true;
        connection->lingers = false;
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        (void)shutdown(connection->fd, SHUT_RDWR);
}

void connection_close_idle(struct client_connection *connection)
{
        connection_leave_phase(connection);
        connection->ended = true;
        (void)shutdown(connection->fd, SHUT_RDWR);
}

void connection_become_idle(struct client_connection *connection)
{
        enter_at(connection, CONNECTION_IDLE, connection->entered_ms);
}

static void on_tick(void *arg)
{
        struct connection_table *table = arg;
        int64_t now_ms = clock_monotonic_ms();
        bool stood_still = now_ms - table->ticked_ms > STALL_MS;
        const struct heap_node *first;

        table->ticked_ms = now_ms;
        if (stood_still)
                return; /* what has arrived meanwhile is read before the next tick */
        while ((first = table->by_deadline.first) &&
               connection_of_node(first)->deadline_ms <= now_ms)
                table->expire(connection_of_node(first));
        if (!first) {
                loop_timer_stop(table->timer);
                table->ticking = false;
        }
}

int connection_deadlines_init(struct connection_table *table)
{
        return loop_timer_new(table->server->loop, on_tick, table, &table->timer);
}
