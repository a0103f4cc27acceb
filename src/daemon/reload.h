/*
 * reload: takes over what of a changed configuration may change while the daemon runs, which is all
 * but what the table of keys says takes a restart.
 *
 * It goes in steps. Main reads and checks everything, credentials and certificates too: what is bad
 * changes nothing. Then it puts that in force, and tells every worker by mail, which judges by the
 * new policy from there on. When all have confirmed, nobody enters by the old one any more, and
 * nobody uses the configuration that was in force: then what waits is judged anew, some jobs in
 * each turn of the loop. After that the reload is over, tells how many jobs it has cancelled, and
 * frees that configuration. Thread: main.
 */
#ifndef SOLVEGATE_DAEMON_RELOAD_H
#define SOLVEGATE_DAEMON_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

struct doors;
struct admin_socket;
struct files;
struct gateway;
struct loop;
struct reload;
struct server;
struct server_shared;
struct tls_identity;
struct warnings;
struct worker;

/* How a reload ended. */
struct reload_report {
        int64_t at_wall_ms;
        bool ok;
        const char *message; /* why not; or what is different, in a line */
        const char *restart; /* keys of the last good file that take a restart, as `a, b[0].c`; or
                                "" */
        const struct warnings *warnings; /* that it found; NULL where it failed */
};

/* What is told to the workers. */
struct reload_setup {
        struct gateway *gateway;
        struct loop *loop;         /* main's */
        const struct doors *doors; /* what is listened on */
        struct worker **workers;
        int worker_count;
        struct server_shared *shared; /* of the workers' servers */
        const struct files *files;
        struct server *admin;             /* on the main loop, or NULL */
        struct admin_socket *control;     /* likewise on the main loop */
        struct tls_identity **identities; /* of the listeners, in force, in order: a reload replaces
                                             the references in here */
        /* Called on main at the end of each reload, of one that fails too; that is before
         * reload_begin() returns, then. The texts of the report live until the next call. May be
         * NULL. */
        void (*ended)(const struct reload_report *report, void *arg);
        /* Called on main when a reload is over, or the judgement at the end of a day, and another
         * reload was asked for meanwhile. */
        void (*again)(void *arg);
        void *arg; /* of both */
};

/* What is passed must outlive it. Returns 0 or -ENOMEM. */
int reload_new(const struct reload_setup *setup, struct reload **ret_reload);

/* Takes NULL. Frees the configuration in force, if a reload has made it: nobody may use it any
 * more.
 */
void reload_free(struct reload *reload);

/*
 * Reads the configuration again and tells the workers, or logs why not. While an earlier one is not
 * over, it only remembers that it was asked for.
 */
void reload_begin(struct reload *reload);

/*
 * Whether a reload was begun and has not ended: what is asked for now is done by the one after it.
 */
bool reload_is_under_way(const struct reload *reload);

/* To be called now and then: at the end of each day (UTC) what ends with it is out, as by a reload,
 * and what is urgent is warned of again.
 */
void reload_tick(struct reload *reload);

/* A worker has confirmed. When it was the last one, what waits is judged, some jobs in each turn of
 * the loop, and then the reload is over. */
void reload_confirm(struct reload *reload);

#endif
