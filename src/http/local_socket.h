/*
 * local_socket: the unix socket that operators connect to (unix(7)). The file's mode and owner are
 * the check of who they are, so nobody can connect before they are right.
 *
 * Thread: main.
 */
#ifndef SOLVEGATE_HTTP_LOCAL_SOCKET_H
#define SOLVEGATE_HTTP_LOCAL_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>

struct listener;
struct strbuf;

struct local_socket {
        char *path; /* NULL: there is none */
        dev_t device;
        ino_t inode;     /* of the file that was made: another one in its place is left alone */
        char *lock_path; /* NULL: it is not locked */
        int lock;        /* valid with lock_path */
};

/*
 * Makes the file and listens. mode is in octal digits, group a name or NULL. What a process that
 * ended has left there is replaced; a socket that somebody answers, or another kind of file, is
 * left alone: -EADDRINUSE, -EEXIST. Of several processes that try at the same time one succeeds, by
 * a lock on a file beside it, with ".lock" at its end. On failure returns -errno and writes one
 * line to problem. The caller frees with local_socket_remove() and then listener_close().
 */
int local_socket_open(const char *path, const char *mode, const char *group,
                      struct local_socket *ret_socket, struct listener *ret_listener,
                      struct strbuf *problem);

/*
 * Creates again what was removed or replaced since: the lock, the file, or both. The file and
 * ret_listener are made only if it was the file; then ret_listener->sockets is not NULL, and the
 * old listener gets no more connections. What is in its place is judged as by
 * local_socket_open(). On failure returns -errno and writes one line to problem, and socket is as
 * it was. *ret_restored tells whether anything was missing, also after a failure.
 */
int local_socket_restore(struct local_socket *socket, const char *mode, const char *group,
                         struct listener *ret_listener, bool *ret_restored, struct strbuf *problem);

/* Removes the file, if it is still the one that was made, and the lock. Takes a zeroed one. To be
 * called before the socket is closed: then no file is seen at which nobody listens. */
void local_socket_remove(struct local_socket *socket);

#endif
