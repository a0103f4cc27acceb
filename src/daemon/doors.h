/*
 * doors: every socket that the daemon listens on: those of tools, that of operators, and the admin
 * socket.
 */
#ifndef SOLVEGATE_DAEMON_DOORS_H
#define SOLVEGATE_DAEMON_DOORS_H

#include "http/listener.h"
#include "http/local_socket.h"
#include "http/server.h"

#include <stddef.h>

struct activation;
struct config;
struct strbuf;

/* A value. Zeroed, nothing is open. */
struct doors {
        struct listener *tools; /* tool_count were opened */
        size_t tool_count;
        struct listener admin;              /* name is "" without config->admin.address */
        struct listener control;            /* of the admin socket */
        struct local_socket control_socket; /* path is NULL: there is none */
};

/*
 * Opens them, tools' with the sockets that were passed. Without an admin socket where nobody has
 * asked for one, which it logs. On failure returns -errno and writes one line to problem; what was
 * opened is left to doors_close(). Thread: main.
 */
int doors_open(const struct config *config, const struct activation *activation,
               struct doors *doors, struct strbuf *problem);

/*
 * Checks that no upstream of a configuration leads to a socket that is open here: unlike
 * config_load() it knows the ports that the kernel has chosen, the sockets that were passed, and
 * those that stay open until a restart. Returns 0, or -EINVAL with a line in problem. Thread: main.
 */
int doors_check_upstreams(const struct doors *doors, const struct config *config,
                          struct strbuf *problem);

/*
 * Writes one line for each address, in a form that scripts may wait for; that for operators is the
 * last.
 */
void doors_tell_ready(const struct doors *doors);

/* Closes the sockets that no server owns. The admin socket's file was removed before. */
void doors_close(struct doors *doors);

#endif
