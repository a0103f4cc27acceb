/*
 * service: the daemon as a whole: listeners, workers, signals, and the way it stops.
 */
#ifndef SOLVEGATE_DAEMON_SERVICE_H
#define SOLVEGATE_DAEMON_SERVICE_H

struct activation;
struct arbiter;
struct config;
struct credential;
struct results;
struct store;
struct strbuf;
struct tls_identity;

/* What the service runs on. */
struct service_backends {
        /* Opens the store in the state directory, as sqlite_store_open() does. Not called where
         * durability is "none". */
        int (*open_store)(const char *directory, struct store **ret_store, struct strbuf *problem);
        /* As arbiter_local_new() does. */
        int (*make_arbiter)(struct results *results, struct arbiter **ret_arbiter);
};

/*
 * Runs until a signal stops it. credentials has one for each upstream; those that are taken over
 * become NULL. The configuration is in force until a reload replaces it, and outlives the service.
 * identities has one for each listener, NULL for plain HTTP: a reload replaces the references in
 * it, and the caller drops them afterwards. activation has the sockets that were passed, which stay
 * the caller's. backends has what it runs on. Returns the exit status of the process: 0 after a
 * clean stop, 1 after a failure, which it has logged. Thread: main, before there is any other.
 */
int service_run(const struct config *config, struct credential **credentials,
                struct tls_identity **identities, const struct activation *activation,
                const struct service_backends *backends);

#endif
