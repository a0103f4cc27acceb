/*
 * heartbeat: finds out again and again whether every loop turns.
 *
 * A beat is mail that goes to each loop and comes back. The next round begins at its time if the
 * last one is complete; so as long as one loop hangs nothing is heard.
 */
#ifndef SOLVEGATE_DAEMON_HEARTBEAT_H
#define SOLVEGATE_DAEMON_HEARTBEAT_H

#include <stddef.h>
#include <stdint.h>

struct heartbeat;
struct loop;

struct heartbeat_setup {
        struct loop *main_loop;
        void (*alive)(void *arg); /* called on main_loop after each round */
        void *arg;
        int64_t beat_ms; /* from one round to the next, at least 1 */
};

/* Makes one that is stopped, with room for loops_max loops besides the main one. Returns 0 or
 * -ENOMEM. */
int heartbeat_new(const struct heartbeat_setup *setup, size_t loops_max,
                  struct heartbeat **ret_heartbeat);

/* Adds a loop, which need not run yet. Requires that it is stopped. Thread: main. */
void heartbeat_add(struct heartbeat *heartbeat, struct loop *loop);

/* The first round begins at once. Thread: main. */
void heartbeat_start(struct heartbeat *heartbeat);

/* Requires that no loop delivers mail any more, and that the main one still exists. Takes NULL. */
void heartbeat_free(struct heartbeat *heartbeat);

#endif
