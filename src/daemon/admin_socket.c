/*
 * admin_socket: see admin_socket.h.
 */
#include "daemon/admin_socket.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/doors.h"
#include "gateway/gateway_service.h"
#include "http/local_socket.h"

#include <string.h>
#include <unistd.h>

#define PROBLEM_BYTES_MAX 1024

int admin_socket_open(struct admin_socket *socket, const struct server_setup *setup,
                      const struct config *config, struct doors *doors)
{
        socket->setup = *setup;
        socket->config = config;
        socket->doors = doors;
        return doors->control_socket.path ? server_new(setup, &socket->server) : 0;
}

/* The new listener takes the place of the old one, which its server owns. */
static int replace_server(struct admin_socket *socket, const struct listener *listener)
{
        struct server *server = NULL;

        listener_close(&socket->doors->control);
        socket->doors->control = *listener;
        socket->setup.policy = gateway_policy(socket->setup.gateway);
        int r = server_new(&socket->setup, &server);
        if (r < 0) { /* without a server: the next reload tries again */
                (void)unlink(socket->doors->control_socket.path);
                listener_close(&socket->doors->control);
                return r;
        }
        server_drain(socket->server);
        socket->retired = socket->server;
        socket->server = server;
        return 0;
}

void admin_socket_restore(struct admin_socket *socket)
{
        struct listener listener = {0};
        struct strbuf problem;
        bool restored = false;

        socket->wanted = socket->server && socket->retired;
        if (!socket->server || socket->retired)
                return;
        strbuf_init(&problem, PROBLEM_BYTES_MAX);
        int r = local_socket_restore(
                &socket->doors->control_socket, socket->config->admin.socket_mode,
                socket->config->admin.socket_group, &listener, &restored, &problem);
        if (r == 0 && listener.sockets)
                r = replace_server(socket, &listener);
        if (r < 0)
                log_error(
                        "the admin socket was removed or replaced, and cannot be created again: %s",
                        problem.len > 0 ? problem.data : strerror(-r));
        else if (restored)
                log_warning("the admin socket %s, or its lock, was removed or replaced: it was "
                            "created again",
                            socket->config->admin.socket);
        strbuf_done(&problem);
}

void admin_socket_tick(struct admin_socket *socket)
{
        if (!socket->retired || server_requests(socket->retired) > 0)
                return;
        server_free(socket->retired);
        socket->retired = NULL;
        if (socket->wanted)
                admin_socket_restore(socket);
}

void admin_socket_reload(struct admin_socket *socket, struct policy *policy)
{
        if (socket->server)
                server_reload(socket->server, policy, NULL);
        if (socket->retired)
                server_reload(socket->retired, policy, NULL);
}

void admin_socket_finish(struct admin_socket *socket)
{
        if (socket->server)
                server_finish(socket->server);
        if (socket->retired)
                server_finish(socket->retired);
}

bool admin_socket_close(struct admin_socket *socket)
{
        bool closed = !socket->server || server_close(socket->server);

        return (!socket->retired || server_close(socket->retired)) && closed;
}

void admin_socket_free(struct admin_socket *socket)
{
        if (socket->doors) /* no file is left without a listener */
                local_socket_remove(&socket->doors->control_socket);
        server_free(socket->retired);
        server_free(socket->server);
}
