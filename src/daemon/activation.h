/*
 * activation: the sockets that the service manager has passed (sd_listen_fds(3)), and which
 * listener each is for.
 */
#ifndef SOLVEGATE_DAEMON_ACTIVATION_H
#define SOLVEGATE_DAEMON_ACTIVATION_H

#define ACTIVATION_SOCKETS_MAX 1024 /* one for each worker and listener, as many as may be */

struct config;
struct config_listen;
struct strbuf;

/* A value: the caller closes the sockets with activation_done(). */
struct activation {
        int fds[ACTIVATION_SOCKETS_MAX];
        int count; /* 0: none was passed */
};

/*
 * Takes what was passed, and takes it out of the environment. Each must be a listening TCP socket
 * at the address and port of a listener of the configuration, and there must not be more for one
 * than workers to share them out to. On failure returns -errno and writes one line to problem.
 * Thread: main, before there is any other. Call it once.
 */
int activation_take(const struct config *config, struct activation *ret_activation,
                    struct strbuf *problem);

/* Those for a listener. Returns how many; 0: it is to be opened. */
int activation_find(const struct activation *activation, const struct config_listen *listen,
                    int ret_fds[static ACTIVATION_SOCKETS_MAX]);

void activation_done(struct activation *activation);

#endif
