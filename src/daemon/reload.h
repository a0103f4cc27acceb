/*
 * reload: takes over what of a changed configuration may change while the daemon runs: clients,
 * sites, origins, names and certificates.
 *
 * It goes in steps. Main reads and checks everything: what is bad changes nothing. Then every
 * worker is told, by mail, and judges by the new policy from there on. When all have confirmed,
 * nobody enters by the old one any more: then what waits is judged anew, too. Thread: main.
 */
#ifndef SOLVEGATE_DAEMON_RELOAD_H
#define SOLVEGATE_DAEMON_RELOAD_H

#include <stdbool.h>

struct gateway;
struct loop;
struct reload;
struct server;
struct tls_identity;
struct worker;

/* What is told to the workers. */
struct reload_setup {
        struct gateway *gateway;
        struct loop *loop; /* main's */
        struct worker **workers;
        int worker_count;
        struct server *admin;             /* on the main loop, or NULL */
        struct tls_identity **identities; /* of the listeners, in force, in order: a reload replaces
                                             the references in here */
};

/* What is passed must outlive it. Returns 0 or -ENOMEM. */
int reload_new(const struct reload_setup *setup, struct reload **ret_reload);

/* Takes NULL. */
void reload_free(struct reload *reload);

/*
 * Reads the configuration again and tells the workers, or logs why not. While an earlier one is not
 * over, it only remembers that it was asked for.
 */
void reload_begin(struct reload *reload);

/* To be called now and then: at the end of each day (UTC) what ends with it is out, as by a reload.
 */
void reload_tick(struct reload *reload);

/*
 * A worker has confirmed. When it was the last one the reload is over; returns whether another was
 * asked for meanwhile.
 */
bool reload_confirm(struct reload *reload);

#endif
