/*
 * listener: the sockets on which servers listen.
 */
#ifndef SOLVEGATE_HTTP_LISTENER_H
#define SOLVEGATE_HTTP_LISTENER_H

#include <stdbool.h>

struct config_listen;
struct strbuf;

#define LISTENER_NAME_BYTES_MAX 64

/*
 * One address that is listened on, with a socket for each worker: sockets of their own
 * (SO_REUSEPORT, socket(7)), or duplicates of those that the service manager has passed. A passed
 * socket lives on in the service manager: who comes while nobody accepts waits in its backlog.
 */
struct listener {
        int *sockets; /* one for each worker; -1 once a server owns it */
        bool passed;  /* they are the service manager's */
        int socket_count;
        const char *scheme;                    /* "http" or "https" */
        char name[LISTENER_NAME_BYTES_MAX];    /* "127.0.0.1:8118", "[::1]:8118" */
        char address[LISTENER_NAME_BYTES_MAX]; /* "127.0.0.1", "::1" */
        int port;
        bool dual_stack; /* "::", for IPv4 as well: only a passed socket may be */
};

/*
 * Opens count sockets on one address, whose port the kernel chooses when it is 0. A port on which
 * somebody else listens already is refused, though SO_REUSEPORT would share it. On failure returns
 * -errno and writes one line to problem.
 */
int listener_open(const struct config_listen *config, int count, struct listener *ret_listener,
                  struct strbuf *problem);

/*
 * Makes one of count duplicates of fd_count passed sockets, 1 to count, each of which is used. fds
 * stay the caller's. Returns 0 or -errno.
 */
int listener_adopt(const struct config_listen *config, int count, const int *fds, int fd_count,
                   struct listener *ret_listener);

/* Writes a listener's address and port as in listener.name, but as they are configured. */
void listener_name(const struct config_listen *config,
                   char ret_name[static LISTENER_NAME_BYTES_MAX]);

/* Tells whether a socket is bound to exactly this address and port. */
bool listener_is_at(const struct config_listen *config, int fd);

/* Writes where a socket is bound, as in listener.name. Returns false unless it is one of IPv4 or
 * IPv6. */
bool listener_describe(int fd, char ret_name[static LISTENER_NAME_BYTES_MAX]);

/* Closes the sockets that no server owns. */
void listener_close(struct listener *listener);

#endif
