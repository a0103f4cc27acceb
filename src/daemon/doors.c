/*
 * doors: see doors.h.
 */
#include "daemon/doors.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/config_self.h"
#include "config/problem.h"
#include "daemon/activation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int open_tool(const struct config *config, const struct activation *activation, size_t i,
                     struct listener *ret_listener, struct strbuf *problem)
{
        int passed[ACTIVATION_SOCKETS_MAX];
        int count = activation_find(activation, &config->listen[i], passed);

        if (count > 0)
                return listener_adopt(&config->listen[i], config->workers, passed, count,
                                      ret_listener);
        return listener_open(&config->listen[i], config->workers, ret_listener, problem);
}

static int open_tools(const struct config *config, const struct activation *activation,
                      struct doors *doors, struct strbuf *problem)
{
        int r = 0;

        doors->tools = calloc(config->listen_count, sizeof *doors->tools);
        if (!doors->tools)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < config->listen_count; i++) {
                r = open_tool(config, activation, i, &doors->tools[i], problem);
                if (r == 0)
                        doors->tool_count++;
        }
        return r;
}

static int open_admin(const struct config *config, struct doors *doors, struct strbuf *problem)
{
        const struct config_listen address = {
                .address = config->admin.address,
                .port = config->admin.port,
        };

        return address.address ? listener_open(&address, 1, &doors->admin, problem) : 0;
}

/* The file's path, mode and group are the configuration's; it is there before anything is ready. */
static int open_control(const struct config *config, struct doors *doors, struct strbuf *problem)
{
        const struct log_field fields[] = {
                LOG_TEXT("path", config->admin.socket),
                LOG_TEXT("mode", config->admin.socket_mode),
                LOG_TEXT("group", config->admin.socket_group ? config->admin.socket_group : "own"),
        };
        int r = local_socket_open(config->admin.socket, config->admin.socket_mode,
                                  config->admin.socket_group, &doors->control_socket,
                                  &doors->control, problem);

        if (r == 0)
                log_event(LOG_LEVEL_INFO, "admin socket", fields, sizeof fields / sizeof *fields);
        if (r == 0 || config->admin.socket_wanted)
                return r;
        /* Nobody has asked for it: a trial by another user than the service's has none. */
        log_info("without an admin socket: %s (admin.socket)", problem->data ? problem->data : "");
        strbuf_done(problem);
        return 0;
}

int doors_open(const struct config *config, const struct activation *activation,
               struct doors *doors, struct strbuf *problem)
{
        int r = open_tools(config, activation, doors, problem);

        if (r == 0)
                r = open_admin(config, doors, problem);
        if (r == 0)
                r = open_control(config, doors, problem);
        return r;
}

static int check_upstream(const struct listener *listener, const struct config *config, size_t i,
                          struct strbuf *problem)
{
        const struct config_bound bound = {listener->address, listener->port, listener->dual_stack};
        const struct config_upstream *upstream = &config->upstreams[i];

        if (!config_self_leads_to(upstream->url, &bound, &config->server_names))
                return 0;
        problem_write(
                problem, config->file, 0,
                "upstream %s: url \"%.200s\" is solvegate itself, which listens on %s, so each "
                "job would come back and wait for itself; write the address of the upstream",
                upstream->name, upstream->url, listener->name);
        return -EINVAL;
}

int doors_check_upstreams(const struct doors *doors, const struct config *config,
                          struct strbuf *problem)
{
        int r = 0;

        for (size_t i = 0; i < config->upstreams_count && r == 0; i++) {
                for (size_t j = 0; j < doors->tool_count && r == 0; j++)
                        r = check_upstream(&doors->tools[j], config, i, problem);
                if (r == 0 && doors->admin.name[0])
                        r = check_upstream(&doors->admin, config, i, problem);
        }
        return r;
}

static void tell_listener(const struct listener *listener)
{
        char line[LISTENER_NAME_BYTES_MAX + 32];

        (void)snprintf(line, sizeof line, "ready %s://%s", listener->scheme, listener->name);
        log_raw(line);
}

void doors_tell_ready(const struct doors *doors)
{
        for (size_t i = 0; i < doors->tool_count; i++)
                tell_listener(&doors->tools[i]);
        if (doors->admin.name[0])
                tell_listener(&doors->admin);
}

void doors_close(struct doors *doors)
{
        for (size_t i = 0; i < doors->tool_count; i++)
                listener_close(&doors->tools[i]);
        free(doors->tools);
        listener_close(&doors->admin);
        listener_close(&doors->control);
}
