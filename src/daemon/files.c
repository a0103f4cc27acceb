/*
 * files: see files.h.
 */
#include "daemon/files.h"

#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/process.h"
#include "http/listener.h"
#include "http/server.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>

#define INHERITED_UNKNOWN 16 /* without /proc */

/* What the process has open all the time, see files_fixed(). */
#define FILES_OF_LOOP    4 /* libuv's: epoll, the eventfd of the mailbox, a pipe for signals */
#define FILES_OF_SERVER  2 /* the listening socket, and libmicrohttpd's epoll */
#define FILES_OF_STORE   9 /* both databases, their logs, the lock and the directory */
#define FILES_OF_PROCESS 5 /* signals, the audit, the lock of the admin socket */
#define FILES_FOR_EVENTS 6 /* the audit's next file, a reload, name look-ups, systemd */

/* Of an upstream on a worker: the pipes of libcurl's two pools. A connection of each pool for each
 * job in flight. */
#define FILES_OF_POOLS       4
#define FILES_OF_JOB         2
#define UPSTREAM_FILES_LEAST 4

#define OPERATORS_MAX   32 /* connections on the admin address; as many on the admin socket */
#define OPERATORS_LEAST 1
#define OPERATORS_PART  16 /* each has this part of what is left, if that is less */
#define BEYOND_LEAST    2
#define BEYOND_PART     8
#define TOOLS_LEAST     4

static size_t at_least(size_t number, size_t least)
{
        return number > least ? number : least;
}

static size_t at_most(size_t number, size_t most)
{
        return number < most ? number : most;
}

static size_t count_open(void)
{
        DIR *directory = opendir("/proc/self/fd");
        size_t count = 0;

        if (!directory)
                return INHERITED_UNKNOWN;
        while (readdir(directory))
                count++;
        (void)closedir(directory);
        return count > 3 ? count - 3 : 0; /* ".", "..", and the directory's own */
}

void files_init(struct files *ret_files)
{
        *ret_files = (struct files){
                .limit = process_raise_file_limit(),
                .inherited = count_open(),
        };
}

static size_t files_fixed(const struct files *files, const struct config *config)
{
        size_t workers = (size_t)config->workers;
        size_t servers = workers * config->listen_count + (config->admin.address ? 1 : 0) + 1;

        return files->inherited + (workers + 1) * FILES_OF_LOOP + servers * FILES_OF_SERVER +
               FILES_OF_STORE + FILES_OF_PROCESS + FILES_FOR_EVENTS;
}

static size_t upstream_files(const struct config *config)
{
        size_t files = 0;

        for (size_t i = 0; i < config->upstreams_count; i++)
                files += (size_t)config->workers * FILES_OF_POOLS +
                         (size_t)config->upstreams[i].max_in_flight * FILES_OF_JOB;
        return files;
}

static size_t upstream_files_least(const struct config *config)
{
        return (size_t)config->workers * FILES_OF_POOLS + UPSTREAM_FILES_LEAST;
}

/* What can run at all. */
static size_t files_least(const struct files *files, const struct config *config)
{
        return files_fixed(files, config) + upstream_files_least(config) + 4 * OPERATORS_LEAST +
               TOOLS_LEAST + BEYOND_LEAST;
}

static int fd_max(size_t files)
{
        return files < INT_MAX ? (int)files : INT_MAX;
}

int files_share(const struct files *files, const struct config *config, struct files_plan *ret_plan,
                struct strbuf *problem)
{
        size_t fixed = files_fixed(files, config), least = files_least(files, config);
        size_t wanted = (size_t)config->limits.connections;

        if (files->limit < least && problem)
                (void)strbuf_printf(problem,
                                    "%zu open files are allowed (EMFILE), and at least %zu are "
                                    "needed; raise the limit (LimitNOFILE= in the unit, or ulimit "
                                    "-n)",
                                    files->limit, least);
        if (files->limit < least)
                return -EMFILE;
        size_t left = files->limit - fixed;
        size_t upstreams = at_most(at_least(upstream_files(config), upstream_files_least(config)),
                                   at_least(left / 2, upstream_files_least(config)));
        size_t operators = at_most(left / OPERATORS_PART / 2, OPERATORS_MAX);
        operators = at_most(operators, (left - upstreams - TOOLS_LEAST - BEYOND_LEAST) / 4);
        operators = at_least(operators, OPERATORS_LEAST);
        size_t tools = left - upstreams - 4 * operators;
        size_t spare = tools > wanted ? tools - wanted : 0;
        size_t beyond = at_most(at_least(at_least(tools / BEYOND_PART, spare), BEYOND_LEAST),
                                SERVER_CONNECTIONS_BEYOND_LIMIT);

        *ret_plan = (struct files_plan){
                .wanted = fixed + upstream_files(config) + 4 * OPERATORS_MAX + wanted +
                          SERVER_CONNECTIONS_BEYOND_LIMIT,
                .connections = (int)at_most(tools - beyond, wanted),
                .beyond = (int)beyond,
                .fd_max = fd_max(files->limit - FILES_FOR_EVENTS - 4 * operators),
                .scarce = tools - beyond < wanted,
                .operators = (int)operators,
                .operators_beyond = (int)operators,
        };
        return 0;
}

void files_apply(const struct files_plan *plan, struct server_shared *tools)
{
        atomic_store(&tools->connections_max, plan->connections);
        atomic_store(&tools->beyond_max, plan->beyond);
        atomic_store(&tools->waits, plan->scarce);
        atomic_store(&tools->fd_max, plan->fd_max);
}

void files_apply_operators(const struct files_plan *plan, struct server_shared *operators)
{
        atomic_store(&operators->connections_max, plan->operators);
        atomic_store(&operators->beyond_max, plan->operators_beyond);
        atomic_store(&operators->waits, true);
        atomic_store(&operators->fd_max, INT_MAX);
}
