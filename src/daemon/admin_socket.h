/*
 * admin_socket: the server of the admin socket, which a reload creates again if its file, or the
 * lock beside it, was removed or replaced.
 *
 * A socket's file cannot be given to the server that listens: so there is a new server, and the old
 * one goes on with the requests that it has. Thread: main.
 */
#ifndef SOLVEGATE_DAEMON_ADMIN_SOCKET_H
#define SOLVEGATE_DAEMON_ADMIN_SOCKET_H

#include "http/listener.h"
#include "http/server.h"

#include <stdbool.h>

struct config;
struct doors;
struct policy;

/* Zeroed, there is none. */
struct admin_socket {
        struct server_setup setup; /* valid with server */
        const struct config *config;
        struct doors *doors;
        struct server *server;  /* NULL: there is none */
        struct server *retired; /* whose file is gone; NULL: none */
        bool wanted;            /* it is to be looked at again when the retired one has gone */
};

/* Makes the server of doors->control, if that was opened. config is that of the start; all that is
 * passed must outlive it. Returns 0 or -errno. */
int admin_socket_open(struct admin_socket *socket, const struct server_setup *setup,
                      const struct config *config, struct doors *doors);

/* Creates what is missing, and logs that, or why it cannot. */
void admin_socket_restore(struct admin_socket *socket);

/* To be called now and then: frees a server whose file is gone once it has no request. */
void admin_socket_tick(struct admin_socket *socket);

/* As those of the server: see http/server.h. */
void admin_socket_reload(struct admin_socket *socket, struct policy *policy);
void admin_socket_finish(struct admin_socket *socket);
bool admin_socket_close(struct admin_socket *socket);

/* Removes the file and frees the servers. Takes a zeroed one. */
void admin_socket_free(struct admin_socket *socket);

#endif
