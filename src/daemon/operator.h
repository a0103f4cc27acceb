/*
 * operator: answers what the handlers for operators ask of the daemon (http/operator.h). Thread:
 * main.
 */
#ifndef SOLVEGATE_DAEMON_OPERATOR_H
#define SOLVEGATE_DAEMON_OPERATOR_H

#include "http/operator.h"

#include <limits.h>

struct reload;
struct reload_report;
struct worker;

/* A value. What operator_init() does not set is zero. */
struct operator_state {
        char file[PATH_MAX];
        struct operator_hooks hooks;
        struct operator_view view; /* listeners and listener_count are set by who opens them */
        struct reload *reload;     /* NULL: nothing can be reloaded, yet or any more */
        struct worker *asker;      /* who asks for balances; NULL: nobody, yet or any more */
        struct waiter *waiters[2]; /* for the reload under way and for the one after it: by the
                                      last bit of their numbers */
};

/*
 * file is the configuration, as the daemon was given it; connections are those of tools, and must
 * outlive it.
 */
void operator_init(struct operator_state *state, const char *file,
                   const struct server_shared *connections);

/* For struct reload_setup; arg is the state. */
void operator_reload_ended(const struct reload_report *report, void *arg);

#endif
