/*
 * pause: see pause.h.
 */
#include "http/pause.h"

#include "http/server_private.h"

#include <utlist.h>

static void resume(struct request *request)
{
        DL_DELETE2(request->server->paused, request, paused_prev, paused_next);
        request->is_paused = false;
        MHD_resume_connection(request->mhd);
}

void pause_count(struct request *request, size_t bytes)
{
        struct server *server = request->server;
        size_t work = bytes + PAUSE_PIECE_WORK;

        if (request->worked_in != server->turns)
                request->work = 0;
        request->worked_in = server->turns;
        request->work += work;
        server->turn_work += work;
        if (request->is_paused || server->ending ||
            (server->turn_work <= PAUSE_TURN_WORK && !server->paused) ||
            !connection_message_comes(request->connection))
                return;
        DL_APPEND2(server->paused, request, paused_prev, paused_next);
        request->is_paused = true;
        server->again = true;
        (void)atomic_fetch_add(&server->shared->pauses, 1);
        MHD_suspend_connection(request->mhd);
}

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

void pause_turn(struct server *server)
{
        size_t planned = 0;

        server->turns++;
        server->turn_work = 0;
        server->handshake_us = 0;
        server->handshakes_wait = false;
        while (server->paused && planned < PAUSE_TURN_WORK) {
                planned += server->paused->work;
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
