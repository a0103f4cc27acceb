/*
 * pause: see pause.h.
 */
#include "http/pause.h"

#include "http/connection_private.h"

#include <poll.h>
#include <utlist.h>

/* ---- reads ---- */

/* Takes the first one out of a line. */
static void resume(struct server *server, struct client_connection **line)
{
        struct client_connection *connection = *line;

        DL_DELETE2(*line, connection, paused_prev, paused_next);
        connection->is_paused = false;
        connection->resumed_in = server->turns;
        server->resumed_left++;
        MHD_resume_connection(connection->mhd);
}

static void suspend(struct client_connection *connection, struct client_connection **line)
{
        struct server *server = connection->table->server;

        DL_APPEND2(*line, connection, paused_prev, paused_next);
        connection->is_paused = true;
        server->again = true;
        MHD_suspend_connection(connection->mhd);
}

/* libmicrohttpd reads before it closes such a connection, and must not close a suspended one. */
static bool has_failed(const struct client_connection *connection)
{
        struct pollfd file = {.fd = connection->fd, .events = POLLPRI};

        return poll(&file, 1, 0) != 0;
}

/* The order in which libmicrohttpd reads does not matter: no other connection is read before one
 * that was resumed, and one of these is read in any case. */
static bool may_read(const struct server *server, bool is_resumed)
{
        if (is_resumed && server->resumed_read == 0)
                return true;
        return server->turn_work < PAUSE_TURN_WORK &&
               (is_resumed ||
                (server->resumed_left == 0 && !server->passed_over && !server->paused));
}

/* It is expected to do as much as the others did, so that few are resumed in vain. */
static void pass_over(struct client_connection *connection)
{
        struct server *server = connection->table->server;
        size_t mean = server->turn_work / server->resumed_read;

        if (connection->work < mean)
                connection->work = mean;
        suspend(connection, &server->passed_over);
}

/* Returns whether this turn has resumed a connection, and has not come to it yet: now it has. */
static bool come_to(struct client_connection *connection)
{
        struct server *server = connection->table->server;
        bool is_resumed = connection->resumed_in == server->turns;

        connection->resumed_in = 0;
        server->resumed_left -= is_resumed;
        return is_resumed;
}

void pause_skip(struct client_connection *connection)
{
        (void)come_to(connection);
}

bool pause_read(struct client_connection *connection)
{
        struct server *server = connection->table->server;
        bool is_resumed = come_to(connection);

        if (server->ending || may_read(server, is_resumed) || has_failed(connection)) {
                server->resumed_read += is_resumed;
                return false;
        }
        if (is_resumed) {
                pass_over(connection);
                return true;
        }
        if (connection->request)
                (void)atomic_fetch_add(&server->shared->pauses, 1);
        suspend(connection, &server->paused);
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

void pause_count_search(struct client_connection *connection, size_t looked)
{
        count(connection, looked * PAUSE_LOOK_WORK);
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
        struct client_connection **line =
                server->passed_over ? &server->passed_over : &server->paused;
        size_t planned = 0;

        server->turns++;
        server->turn_work = 0;
        server->resumed_left = 0;
        server->resumed_read = 0;
        server->handshake_us = 0;
        server->handshakes_wait = false;
        while (*line && planned < PAUSE_TURN_WORK) {
                planned += expected_work(*line);
                resume(server, line);
        }
        if (server->passed_over || server->paused)
                server->again = true;
}

void pause_end(struct server *server)
{
        server->ending = true;
        while (server->passed_over)
                resume(server, &server->passed_over);
        while (server->paused)
                resume(server, &server->paused);
}
