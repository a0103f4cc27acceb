/*
 * local_socket: see local_socket.h.
 */
#include "http/local_socket.h"

#include "base/strbuf.h"
#include "http/listener.h"
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG           1024 /* net.core.somaxconn bounds it further */
#define GROUP_BYTES       1024
#define GROUP_BYTES_MAX   (1024 * 1024)
#define MODE_BEFORE_CHECK 0600 /* until owner and mode are as they are to be */

#define LOCK_MODE  0600
#define LOCK_TRIES 16 /* that meet one who is just leaving */

static int address_of(const char *path, struct sockaddr_un *ret_address)
{
        *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof ret_address->sun_path)
                return -ENAMETOOLONG;
        memcpy(ret_address->sun_path, path, strlen(path) + 1);
        return 0;
}

/* ---- the lock ---- */

/* Whether a path leads to an open file. */
static bool leads_to(const char *path, int fd)
{
        struct stat there, open;

        return lstat(path, &there) == 0 && fstat(fd, &open) == 0 && there.st_dev == open.st_dev &&
               there.st_ino == open.st_ino;
}

/* A lock is an empty file; what is not may be somebody's. */
static bool is_lock(int fd)
{
        struct stat status;

        return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;
}

/* Returns the locked file, or -errno. Who leaves removes it while he has the lock: then that is
 * worth nothing, and there may be another file by now. */
static int lock_file(const char *path)
{
        for (int i = 0; i < LOCK_TRIES; i++) {
                int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                              LOCK_MODE);
                if (fd < 0)
                        return -errno;
                int r = is_lock(fd) ? 0 : -EEXIST;
                if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
                        r = -errno;
                if (r == 0 && leads_to(path, fd))
                        return fd;
                (void)close(fd);
                if (r < 0)
                        return r == -EWOULDBLOCK ? -EADDRINUSE : r;
        }
        return -EADDRINUSE;
}

/* From probing what stands there until the socket is removed nobody else does the same. On failure
 * tells whether it is what stands in the lock's place that cannot be used. */
static int take_lock(const char *path, struct local_socket *socket, bool *ret_in_the_way)
{
        struct stat status;
        char *lock_path;

        if (asprintf(&lock_path, "%s.lock", path) < 0)
                return -ENOMEM;
        int fd = lock_file(lock_path);
        if (fd < 0) {
                *ret_in_the_way = fd != -EADDRINUSE && lstat(lock_path, &status) == 0;
                free(lock_path);
                return fd;
        }
        socket->lock_path = lock_path;
        socket->lock = fd;
        return 0;
}

static void drop_lock(struct local_socket *socket)
{
        if (!socket->lock_path)
                return;
        if (leads_to(socket->lock_path, socket->lock))
                (void)unlink(socket->lock_path);
        (void)close(socket->lock);
        free(socket->lock_path);
        socket->lock_path = NULL;
}

/* ---- the socket ---- */

/* Whether somebody listens there. Returns 0 when nobody does, or -errno. */
static int probe(const struct sockaddr_un *address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        int r = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
        (void)close(fd);
        if (r == 0 || r == -EAGAIN) /* it answers, or is too busy to */
                return -EADDRINUSE;
        return r == -ECONNREFUSED ? 0 : r;
}

/* A file that is in the way is removed, where it is a socket that nobody answers. */
static int clear_path(const struct sockaddr_un *address)
{
        struct stat status;

        if (lstat(address->sun_path, &status) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(status.st_mode))
                return -EEXIST;
        int r = probe(address);
        if (r == 0 && unlink(address->sun_path) < 0 && errno != ENOENT)
                r = -errno;
        return r;
}

/* Returns 0, -ESRCH where no group is called so, or -errno. */
static int find_group(const char *name, gid_t *ret_group)
{
        size_t bytes = GROUP_BYTES;
        int r = ERANGE;

        while (r == ERANGE && bytes <= GROUP_BYTES_MAX) {
                struct group group, *found = NULL;
                char *buffer = malloc(bytes);
                if (!buffer)
                        return -ENOMEM;
                r = getgrnam_r(name, &group, buffer, bytes, &found);
                if (r == 0 && found)
                        *ret_group = found->gr_gid;
                else if (r == 0)
                        r = ESRCH;
                free(buffer);
                bytes *= 2;
        }
        return -r;
}

/* The group comes before the mode, which chown(2) may clear bits of. Where the file has it already
 * chown(2) is left alone: a sandbox may refuse that call. */
static int set_access(const char *path, const char *mode, const char *group)
{
        struct stat status;
        gid_t gid = (gid_t)-1;
        int r = group ? find_group(group, &gid) : 0;

        if (r == 0 && lstat(path, &status) < 0)
                r = -errno;
        if (r == 0 && group && status.st_gid != gid && lchown(path, (uid_t)-1, gid) < 0)
                r = errno == EINVAL ? -EPERM : -errno; /* its user namespace has no such group */
        if (r == 0 && chmod(path, (mode_t)strtoul(mode, NULL, 8)) < 0)
                r = -errno;
        return r;
}

/* Nobody can connect before listen(2), whatever the mode is until then. */
static int open_at(int fd, const struct sockaddr_un *address, const char *mode, const char *group,
                   struct local_socket *socket)
{
        struct stat status;

        /* The file gets the descriptor's mode (unix(7)), less the umask. */
        if (fchmod(fd, MODE_BEFORE_CHECK) < 0 ||
            bind(fd, (const struct sockaddr *)address, sizeof *address) < 0)
                return -errno;
        if (lstat(address->sun_path, &status) < 0)
                return -errno; /* somebody has taken it away */
        socket->device = status.st_dev;
        socket->inode = status.st_ino;
        socket->path = strdup(address->sun_path);
        int r = socket->path ? set_access(address->sun_path, mode, group) : -ENOMEM;
        if (r == 0 && listen(fd, BACKLOG) < 0)
                r = -errno;
        return r;
}

/* What to do about it. */
static const char *cure(int error)
{
        switch (error) {
        case -EADDRINUSE:
                return "a solvegate answers there already; stop it, or name another path";
        case -EEXIST:
                return "what stands there is no socket; remove it, or name another path";
        case -EPROTOTYPE:
                return "what stands there is a socket of another kind; stop who has it, or name "
                       "another path";
        case -ENOENT:
                return "make its directory, or name another path";
        case -EACCES:
        case -EROFS:
                return "give this user write permission on its directory, and on what an earlier "
                       "solvegate left there, or name another path";
        case -ESRCH:
                return "name a group of this machine";
        case -EPERM:
                return "this user may not give it to admin.socket_group; name a group that it is "
                       "in, under systemd the one of Group= in the unit";
        case -ENAMETOOLONG:
                return "name a shorter path";
        default:
                return "name another path";
        }
}

static void describe(const char *path, int error, bool lock_in_the_way, struct strbuf *problem)
{
        const char *why =
                error == -ESRCH ? "no group has the name of admin.socket_group" : strerror(-error);

        if (lock_in_the_way)
                (void)strbuf_printf(problem,
                                    "cannot listen on admin.socket %s: %s.lock is no lock that "
                                    "this user can take (%s); remove it, or name another path",
                                    path, path, why);
        else
                (void)strbuf_printf(problem, "cannot listen on admin.socket %s: %s; %s", path, why,
                                    cure(error));
}

static int fill_listener(int fd, struct listener *ret_listener)
{
        struct listener listener = {.socket_count = 1, .scheme = "http"};

        listener.sockets = malloc(sizeof *listener.sockets);
        if (!listener.sockets)
                return -ENOMEM;
        listener.sockets[0] = fd;
        (void)snprintf(listener.name, sizeof listener.name, "localhost");
        *ret_listener = listener;
        return 0;
}

/* Creates the file and listens. Requires the lock. */
static int open_file(const char *path, const char *mode, const char *group,
                     struct local_socket *made, struct listener *ret_listener)
{
        struct sockaddr_un address;
        int r = address_of(path, &address);

        if (r == 0)
                r = clear_path(&address);
        if (r < 0)
                return r;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        r = open_at(fd, &address, mode, group, made);
        if (r == 0)
                r = fill_listener(fd, ret_listener);
        if (r < 0)
                (void)close(fd);
        return r;
}

int local_socket_open(const char *path, const char *mode, const char *group,
                      struct local_socket *ret_socket, struct listener *ret_listener,
                      struct strbuf *problem)
{
        struct local_socket made = {0};
        struct sockaddr_un address;
        bool lock_in_the_way = false;
        int r = address_of(path, &address);

        if (r == 0)
                r = take_lock(path, &made, &lock_in_the_way);
        if (r == 0)
                r = open_file(path, mode, group, &made, ret_listener);
        if (r < 0) {
                describe(path, r, lock_in_the_way, problem);
                local_socket_remove(&made);
                return r;
        }
        *ret_socket = made;
        return 0;
}

/* Whether the file that was made is still at its path. */
static bool is_in_place(const struct local_socket *socket)
{
        struct stat status;

        return lstat(socket->path, &status) == 0 && status.st_dev == socket->device &&
               status.st_ino == socket->inode;
}

/* The new parts replace the old ones. */
static void take_over(struct local_socket *socket, struct local_socket *made)
{
        if (made->lock_path) {
                drop_lock(socket); /* not the file, which is the new one's or another's */
                socket->lock_path = made->lock_path;
                socket->lock = made->lock;
        }
        if (made->path) {
                free(socket->path);
                socket->path = made->path;
                socket->device = made->device;
                socket->inode = made->inode;
        }
}

int local_socket_restore(struct local_socket *socket, const char *mode, const char *group,
                         struct listener *ret_listener, bool *ret_restored, struct strbuf *problem)
{
        bool has_lock = leads_to(socket->lock_path, socket->lock), has_file = is_in_place(socket);
        struct local_socket made = {0};
        bool lock_in_the_way = false;
        int r = 0;

        *ret_restored = !has_lock || !has_file;
        if (!has_lock)
                r = take_lock(socket->path, &made, &lock_in_the_way);
        if (r == 0 && !has_file)
                r = open_file(socket->path, mode, group, &made, ret_listener);
        if (r < 0) {
                describe(socket->path, r, lock_in_the_way, problem);
                local_socket_remove(&made);
                return r;
        }
        take_over(socket, &made);
        return 0;
}

void local_socket_remove(struct local_socket *socket)
{
        if (socket->path && is_in_place(socket))
                (void)unlink(socket->path);
        free(socket->path);
        socket->path = NULL;
        drop_lock(socket);
}
