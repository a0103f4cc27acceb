/*
 * store_watch: whether the files that are open are still those at their paths.
 *
 * A file that was removed, renamed or replaced stays open, and SQLite writes to it as before; but
 * the next start would not find it. So the device and inode of each path (inode(7)) are compared
 * with those that were opened, before each transaction and once a second. No file is closed
 * meanwhile, so no other one can have the same inode.
 *
 * SQLite opens no file by its path while the daemon runs: it keeps the write-ahead log with its
 * index, and the rollback journal of a database that it has locked for good. They are compared from
 * when they are first seen.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 1000

static const char *const names[STORE_WATCH_FILES] = {
        [STORE_WATCH_DIRECTORY] = "",         [STORE_WATCH_JOBS] = "jobs.db",
        [STORE_WATCH_BODIES] = "bodies.db",   [STORE_WATCH_LOG] = "jobs.db-wal",
        [STORE_WATCH_INDEX] = "jobs.db-shm",  [STORE_WATCH_JOURNAL] = "bodies.db-journal",
        [STORE_WATCH_LOCK] = STORE_LOCK_FILE,
};

static void remember(struct store_watched *file, const struct stat *status)
{
        file->device = status->st_dev;
        file->inode = status->st_ino;
        file->known = true;
}

static int remember_open(struct store_watched *file, int fd)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        remember(file, &status);
        return 0;
}

/* Opens a descriptor that only says which file it is: closing it drops no lock of SQLite's, as
 * another one would (fcntl(2)). Returns 0 or -errno. */
static int open_for_status(struct store_watched *file)
{
        file->fd = open(file->path, O_PATH | O_CLOEXEC);
        return file->fd < 0 ? -errno : remember_open(file, file->fd);
}

int store_watch_begin(struct sqlite_store *store)
{
        struct store_watched *files = store->watch.files;
        int r = 0;

        for (int i = 0; r == 0 && i < STORE_WATCH_FILES; i++) {
                if (asprintf(&files[i].path, "%s%s%s", store->directory, names[i][0] ? "/" : "",
                             names[i]) < 0) {
                        files[i].path = NULL;
                        return -ENOMEM;
                }
                if (i <= STORE_WATCH_BODIES)
                        r = open_for_status(&files[i]);
        }
        return r == 0 ? remember_open(&files[STORE_WATCH_LOCK], store->lock_fd) : r;
}

void store_watch_init(struct store_watch *watch)
{
        (void)pthread_mutex_init(&watch->mutex, NULL);
        for (int i = 0; i < STORE_WATCH_FILES; i++)
                watch->files[i].fd = -1;
}

void store_watch_done(struct store_watch *watch)
{
        for (int i = 0; i < STORE_WATCH_FILES; i++) {
                if (watch->files[i].fd >= 0)
                        (void)close(watch->files[i].fd);
                free(watch->files[i].path);
        }
        (void)pthread_mutex_destroy(&watch->mutex);
}

/* Returns 0 where the file is at its path, -ENOENT, -ESTALE where another one is, or -errno. */
static int compare(struct store_watched *file)
{
        struct stat status;

        if (stat(file->path, &status) < 0)
                return file->known ? -errno : 0;
        if (!file->known)
                remember(file, &status);
        return status.st_dev == file->device && status.st_ino == file->inode ? 0 : -ESTALE;
}

/* Whether no path leads to a file any more. */
static bool is_removed(const struct store_watched *file)
{
        struct stat status;

        return file->fd >= 0 && fstat(file->fd, &status) == 0 && status.st_nlink == 0;
}

/* What is lost if this file is not at its path. */
static enum store_loss loss_of(const struct sqlite_store *store, int which)
{
        const struct store_watched *files = store->watch.files;

        if (is_removed(&files[STORE_WATCH_JOBS]))
                return STORE_LOSES_ROWS;
        if (is_removed(&files[STORE_WATCH_BODIES]))
                return STORE_LOSES_BODIES;
        return which <= STORE_WATCH_BODIES ? STORE_LOSES_FILES : STORE_LOSES_NOTHING;
}

static const char *fix_of(enum store_loss loss)
{
        switch (loss) {
        case STORE_LOSES_NOTHING:
                return "stop solvegate, which saves what is in it, and start it again";
        case STORE_LOSES_FILES:
                return "put the same one back, or stop solvegate, restore a backup, and start it";
        case STORE_LOSES_BODIES:
                return "stop solvegate, which cancels the jobs that wait, and start it again";
        case STORE_LOSES_ROWS:
                break;
        }
        return "stop solvegate, restore a backup, and start it";
}

static void describe(const struct sqlite_store *store, int which, int error,
                     char ret_problem[static STORE_PROBLEM_BYTES])
{
        const struct store_watched *file = &store->watch.files[which];
        const char *name = names[which][0] ? names[which] : "the directory";
        const char *fix = fix_of(loss_of(store, which));

        if (error == -ENOENT)
                (void)snprintf(ret_problem, STORE_PROBLEM_BYTES, "%s was %s: %s", name,
                               is_removed(file) ? "removed" : "removed or renamed", fix);
        else if (error == -ESTALE)
                (void)snprintf(ret_problem, STORE_PROBLEM_BYTES,
                               "another file is in the place of %s: %s", name, fix);
        else
                (void)snprintf(ret_problem, STORE_PROBLEM_BYTES, "%s cannot be found (%s): %s",
                               name, strerrordesc_np(-error), fix);
}

/*
 * Without the lock's file another daemon could begin to use the directory. It is created
 * and locked again, unless another one has already. Returns 0 or -errno.
 */
static int check_lock(struct sqlite_store *store)
{
        struct store_watched *file = &store->watch.files[STORE_WATCH_LOCK];

        if (compare(file) == 0)
                return 0;
        int fd = open(file->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        int r = flock(fd, LOCK_EX | LOCK_NB) < 0 || dup3(fd, store->lock_fd, O_CLOEXEC) < 0
                        ? -errno
                        : remember_open(file, fd);
        (void)close(fd);
        if (r == 0) {
                atomic_store(&store->watch.lock_made, true);
                store->watch.note_log = true;
        }
        return r;
}

/* Returns whether a path does not lead to the file that is open. */
static bool find_problem(struct sqlite_store *store, char ret_problem[static STORE_PROBLEM_BYTES])
{
        int r = 0;

        for (int i = 0; i < STORE_WATCH_LOCK; i++) {
                r = compare(&store->watch.files[i]);
                if (r < 0) {
                        atomic_store(&store->watch.loss, loss_of(store, i));
                        describe(store, i, r, ret_problem);
                        return true;
                }
        }
        atomic_store(&store->watch.loss, STORE_LOSES_NOTHING);
        r = check_lock(store);
        if (r == -EWOULDBLOCK)
                (void)snprintf(
                        ret_problem, STORE_PROBLEM_BYTES,
                        "another solvegate has locked the directory, whose file " STORE_LOCK_FILE
                        " was removed: stop one of them");
        else if (r < 0)
                (void)snprintf(
                        ret_problem, STORE_PROBLEM_BYTES,
                        "the file " STORE_LOCK_FILE
                        " was removed, and cannot be created again (%s): see to the directory",
                        strerrordesc_np(-r));
        return r < 0;
}

static void look(struct sqlite_store *store)
{
        char problem[STORE_PROBLEM_BYTES] = "";

        (void)pthread_mutex_lock(&store->watch.mutex);
        bool detached = find_problem(store, problem);
        store->watch.look_at_ms = clock_monotonic_ms() + LOOK_AGAIN_MS;
        if (detached || atomic_load(&store->detached))
                store_set_problem(store, "%s", problem);
        atomic_store(&store->detached, detached);
        (void)pthread_mutex_unlock(&store->watch.mutex);
}

void sqlite_look(struct store *base)
{
        look(sqlite_store_of(base));
}

void store_watch_look(struct sqlite_store *store)
{
        look(store);
        (void)pthread_mutex_lock(&store->watch.mutex);
        bool note_log = store->watch.note_log;
        store->watch.note_log = false;
        (void)pthread_mutex_unlock(&store->watch.mutex);
        if (note_log)
                store_note_log(store);
}
