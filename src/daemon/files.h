/*
 * files: how the limit of open files (RLIMIT_NOFILE) is shared out.
 *
 * Tools' connections never take the descriptors that upstreams, the store, the audit, a reload and
 * operators need. What is left to tools may be less than limits.connections; then that many
 * connections are served, and the rest are refused as beyond limits.connections.
 *
 * Thread: main.
 */
#ifndef SOLVEGATE_DAEMON_FILES_H
#define SOLVEGATE_DAEMON_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct server_shared;
struct strbuf;

struct files {
        size_t limit;     /* as far as it may be raised; SIZE_MAX: none */
        size_t inherited; /* descriptors that were open at the start */
};

/* How many descriptors each part may have. */
struct files_plan {
        size_t wanted;        /* a limit with which nothing is less than configured */
        int connections;      /* of tools; limits.connections at most */
        int beyond;           /* so many more, to be refused */
        int fd_max;           /* tools and upstreams get descriptors below it only */
        bool scarce;          /* connections is less than limits.connections */
        int operators;        /* on the admin address, and as many on the admin socket */
        int operators_beyond; /* so many more on each */
};

/* Raises the limit and counts what is open. To be called before anything is opened. */
void files_init(struct files *ret_files);

/*
 * Shares out. Returns 0; or -EMFILE if the limit is too low to run at all, and writes one line to
 * problem unless that is NULL.
 */
int files_share(const struct files *files, const struct config *config, struct files_plan *ret_plan,
                struct strbuf *problem);

/* Puts it in force for the servers of tools, and for those of operators. */
void files_apply(const struct files_plan *plan, struct server_shared *tools);
void files_apply_operators(const struct files_plan *plan, struct server_shared *operators);

#endif
