/*
 * operator: what the handlers for operators ask of the daemon around them, which is in a layer
 * above: its listeners, its reloads. All of it is on the main loop.
 */
#ifndef SOLVEGATE_HTTP_OPERATOR_H
#define SOLVEGATE_HTTP_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listener;
struct server_shared;
struct tls_identity;
struct waiter;

/* What a configuration is warned of: the gravest, a line each, and how many there are in all. */
struct operator_warnings {
        const char *const *texts;
        size_t shown;
        size_t count;
};

/* How a reload went. The texts stay as they are until the loop's event is over. */
struct operator_reload {
        int64_t at_wall_ms; /* when it ended; 0: there was none */
        bool ok;
        const char *message; /* what is wrong, or what is in force now; never NULL */
        const char *restart; /* the keys that take a restart, with ", " between; never NULL */
        struct operator_warnings warnings; /* it found; of view's: none */
};

/* The daemon at one moment. */
struct operator_view {
        const char *file; /* the configuration, as an absolute path */
        int64_t started_wall_ms;
        int64_t started_ms;               /* monotonic */
        int64_t loaded_wall_ms;           /* when the configuration that is in force was read */
        struct operator_reload reload;    /* the last one */
        const struct listener *listeners; /* of tools */
        size_t listener_count;
        struct tls_identity *const *identities;  /* of the listeners, in force; NULL: plain HTTP */
        struct operator_warnings attention;      /* the urgent ones of what is in force */
        const struct server_shared *connections; /* of tools */
};

struct operator_hooks {
        void *arg;
        void (*view)(void *arg, struct operator_view *ret_view);
        /*
         * Has the configuration read again, and arms the waiter until that is over, whether it
         * succeeds or not, or solvegate is being stopped; NULL: nobody waits. *ret_number is the
         * number of the reload that reads it. Returns false, and does nothing, when solvegate is
         * being stopped.
         */
        bool (*reload)(void *arg, struct waiter *waiter, int64_t *ret_number);
        /*
         * How the reload with this number went, whichever have ended since. Returns 0; or where it
         * has not ended -EINPROGRESS, or -ESHUTDOWN: nobody waits for it, for solvegate is being
         * stopped; or -ENOENT: that is forgotten.
         */
        int (*outcome)(void *arg, int64_t number, struct operator_reload *ret_reload);
        /* Has the upstreams asked whose balance is old, or nothing when solvegate is being stopped.
         */
        void (*ask_balances)(void *arg);
        /* Disarms a waiter of the reload with this number. False: its mail is on the way. */
        bool (*unwait)(void *arg, struct waiter *waiter, int64_t number);
};

#endif
