/*
 * pause: see pause.h.
 */
#include "http/pause.h"

#include "http/connection_private.h"

#include <poll.h>
#include <utlist.h>

/* ---- reads ---- */

static void resume(struct client_connection *connection)
{
        struct server *server = connection->table->server;

        DL_DELETE2(server->paused, connection, paused_prev, paused_next);
        connection->is_paused = false;
        connection->resumed_in = server->turns;
        MHD_resume_connection(connection->mhd);
}

/* libmicrohttpd reads before it closes such a connection, and must not close a suspended one. */
static bool has_failed(const struct client_connection *connection)
{
        struct pollfd file = {.fd = connection->fd, .events = POLLPRI};

        return poll(&file, 1, 0) != 0;
}

bool pause_read(struct client_connection *connection)
{
        struct server *server = connection->table->server;

        if (connection->resumed_in == server->turns || server->ending ||
            (server->turn_work < PAUSE_TURN_WORK && !server->paused) || has_failed(connection))
                return false;
        DL_APPEND2(server->paused, connection, paused_prev, paused_next);
        connection->is_paused = true;
        server->again = true;
        if (connection->request)
                (void)atomic_fetch_add(&server->shared->pauses, 1);
        MHD_suspend_connection(connection->mhd);
        return true;
}

static void count(struct client_connection *connection, size_t work)
{
        struct server *server = connection->table->server;

        if (connection->worked_in != server->turns)
                connection->work = 0;
        connection->worked_in = server->turns;
        connection->work += work;
        server->turn_work += work;
}

void pause_count_header(struct client_connection *connection, size_t bytes)
{
        if (bytes > FRAMING_HEADER_BYTES_MAX)
                bytes = FRAMING_HEADER_BYTES_MAX;
        count(connection, bytes * PAUSE_HEADER_BYTE_WORK);
}

void pause_count_request(struct client_connection *connection)
{
        count(connection, PAUSE_REQUEST_WORK);
}

void pause_count_body(struct client_connection *connection, size_t bytes)
{
        count(connection, bytes + PAUSE_PIECE_WORK);
}

/* A connection that did nothing yet may have a request. */
static size_t expected_work(const struct client_connection *connection)
{
        return connection->work > PAUSE_REQUEST_WORK ? connection->work : PAUSE_REQUEST_WORK;
}

/* ---- handshakes ---- */

bool pause_may_handshake(struct server *server)
{
        if (server->handshake_us < PAUSE_HANDSHAKE_US)
                return true;
        server->handshakes_wait = true;
        return false;
}

void pause_count_handshake(struct server *server, int64_t us)
{
        server->handshake_us += us;
}

/* ---- turns ---- */

void pause_turn(struct server *server)
{
        size_t planned = 0;

        server->turns++;
        server->turn_work = 0;
        server->handshake_us = 0;
        server->handshakes_wait = false;
        while (server->paused && planned < PAUSE_TURN_WORK) {
                planned += expected_work(server->paused);
                resume(server->paused);
        }
        if (server->paused)
                server->again = true;
}

void pause_end(struct server *server)
{
        server->ending = true;
        while (server->paused)
                resume(server->paused);
}
