/*
 * operator: answers what the handlers for operators ask of the daemon (http/operator.h). Thread:
 * main.
 */
#ifndef SOLVEGATE_DAEMON_OPERATOR_H
#define SOLVEGATE_DAEMON_OPERATOR_H

#include "daemon/warnings.h"
#include "http/operator.h"

#include <limits.h>

struct config;
struct reload_report;
struct tls_identity;
struct worker;

/* More than there are connections of operators, each of which may end one reload before the first
 * of those that wait has seen how his went. */
#define OPERATOR_REPORTS_KEPT 64

/* What begins a reload. */
struct operator_reloader {
        void *arg;
        void (*begin)(void *arg);     /* while one is under way: it remembers to do another */
        bool (*under_way)(void *arg); /* one has read the file, and has not ended */
};

/* What operator_init() does not set is zero. */
struct operator_state {
        char file[PATH_MAX];
        struct operator_hooks hooks;
        struct operator_view view; /* listeners, and their identities, are set by who opens them */
        struct operator_reloader reloader; /* begin is NULL as long as nothing can be reloaded */
        struct worker *asker;      /* who asks for balances; NULL: nobody, yet or any more */
        struct waiter *waiters[2]; /* for the reload under way and for the one after it: by the
                                      last bit of their numbers */
        bool stopped;
        struct warnings attention; /* of what is in force; the view shows the urgent ones */
        int64_t attended_hour;     /* since 1970, when they were found */
        int64_t reloads;           /* how many have ended: the number of the last one */
        /* of the last ones, each at the rest of its number; the texts are owned, NULL without
         * memory for them */
        struct operator_report {
                bool ok;
                char *message, *restart;
                struct warnings warnings;
        } reports[OPERATOR_REPORTS_KEPT];
};

/*
 * file is the configuration, as the daemon was given it; connections are those of tools, and must
 * outlive it.
 */
void operator_init(struct operator_state *state, const char *file,
                   const struct server_shared *connections);

/*
 * Finds what wants attention in the configuration in force, which time changes too: to be called at
 * the start and the end of each reload with always, and now and then without: then it looks once in
 * an hour.
 */
void operator_attend(struct operator_state *state, const struct config *config,
                     struct tls_identity *const *identities, bool always);

/* Nothing is reloaded or asked any more: who waits for a reload is told so. */
void operator_stop(struct operator_state *state);

/* Nobody may wait any more. */
void operator_done(struct operator_state *state);

/* For struct reload_setup; arg is the state. */
void operator_reload_ended(const struct reload_report *report, void *arg);

#endif
