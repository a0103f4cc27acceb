/*
 * iofault: makes the disk fail, or slow, on request, for the tests of the store. Preloaded into the
 * daemon.
 *
 * It counts the calls that change files in $IOFAULT_DIRECTORY, and fails the one that a control
 * file ($IOFAULT_CONTROL, shared with the test) names and all after it, with the error that stands
 * there, until the test takes the fault back. SQLite's index in shared memory ("-shm") is no file
 * that has to last: only locks on it count.
 *
 * A failing call does nothing, but for a failing write of more than one byte when the control file
 * says "torn": it writes the first half. Of the locks those fail that are asked for to write: as if
 * another process were writing, which SQLite says as SQLITE_BUSY. It takes a refused reader's lock
 * for a fault of the file system instead, and tries it for 10 s.
 *
 * It makes the disk slow as well: each fsync and fdatasync there waits for delay_ms before it is
 * done, or fails, whatever kinds count. The time is looked at again and again, so a test can end
 * it.
 *
 * Thread: any. The control file is read and written by atomic operations alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* Kinds of calls, as in iofault.py. */
enum kind {
        KIND_OPEN = 1,  /* open with O_CREAT */
        KIND_WRITE = 2, /* write, pwrite and their relatives */
        KIND_SYNC = 4,  /* fsync, fdatasync */
        KIND_SIZE = 8,  /* ftruncate, fallocate */
        KIND_LOCK = 16, /* exclusive fcntl locks */
};

/* The control file, as in iofault.py. */
struct control {
        _Atomic int64_t calls;     /* of the chosen kinds, so far */
        _Atomic int64_t fail_from; /* this call and all after it fail; 0: none */
        _Atomic int64_t failed;    /* how many did */
        _Atomic int32_t error;     /* errno of a failing call */
        _Atomic int32_t kinds;     /* which count */
        _Atomic int32_t torn;      /* a failing write writes its first half */
        _Atomic int32_t delay_ms;  /* how long a sync waits first */
        _Atomic int64_t delayed;   /* how many did, or do */
};

#define DELAY_STEP_MS 5

static struct {
        struct control *control; /* NULL: nothing ever fails */
        char directory[PATH_MAX];
        size_t directory_len;
        int (*open)(const char *, int, ...);
        int (*openat)(int, const char *, int, ...);
        ssize_t (*write)(int, const void *, size_t);
        ssize_t (*writev)(int, const struct iovec *, int);
        ssize_t (*pwrite)(int, const void *, size_t, off_t);
        int (*fsync)(int);
        int (*fdatasync)(int);
        int (*ftruncate)(int, off_t);
        int (*fallocate)(int, int, off_t, off_t);
        int (*posix_fallocate)(int, off_t, off_t);
        int (*fcntl)(int, int, ...);
} real;

/* Finds what this library stands in front of. dlsym() gives a pointer that C cannot convert. */
static void find(const char *name, void *ret_function)
{
        void *symbol = dlsym(RTLD_NEXT, name);

        memcpy(ret_function, &symbol, sizeof symbol);
}

static void find_all(void)
{
        find("open", &real.open);
        find("openat", &real.openat);
        find("write", &real.write);
        find("writev", &real.writev);
        find("pwrite", &real.pwrite);
        find("fsync", &real.fsync);
        find("fdatasync", &real.fdatasync);
        find("ftruncate", &real.ftruncate);
        find("fallocate", &real.fallocate);
        find("posix_fallocate", &real.posix_fallocate);
        find("fcntl", &real.fcntl);
}

static void map_control(const char *path)
{
        int fd = real.open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return;
        void *memory =
                mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (memory != MAP_FAILED)
                real.control = memory;
}

__attribute__((constructor)) static void begin(void)
{
        const char *directory = getenv("IOFAULT_DIRECTORY");
        const char *path = getenv("IOFAULT_CONTROL");

        find_all();
        if (!directory || !path || strlen(directory) >= sizeof real.directory)
                return;
        memcpy(real.directory, directory, strlen(directory) + 1);
        real.directory_len = strlen(directory);
        map_control(path);
}

/* A library's constructor may call before ours has run. */
static void ready(void)
{
        if (!real.open)
                find_all();
}

static bool ends_with(const char *text, const char *end)
{
        size_t len = strlen(text), end_len = strlen(end);

        return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool path_counts(const char *path, enum kind kind)
{
        if (strncmp(path, real.directory, real.directory_len) != 0 ||
            path[real.directory_len] != '/')
                return false;
        return kind == KIND_LOCK || !ends_with(path, "-shm");
}

static bool file_counts(int fd, enum kind kind)
{
        char link[64], path[PATH_MAX];

        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path - 1);
        if (len < 0)
                return false;
        path[len] = '\0';
        return path_counts(path, kind);
}

/* Whether calls of this kind are looked at at all: cheap, as every write of the daemon asks. */
static bool watched(enum kind kind)
{
        return real.control && (atomic_load(&real.control->kinds) & (int32_t)kind);
}

/* Counts a call that counts. Returns the errno with which it shall fail, or 0. */
static int verdict(void)
{
        struct control *control = real.control;
        int64_t number = atomic_fetch_add(&control->calls, 1) + 1;
        int64_t fail_from = atomic_load(&control->fail_from);

        if (fail_from == 0 || number < fail_from)
                return 0;
        atomic_fetch_add(&control->failed, 1);
        return atomic_load(&control->error);
}

/* Tells whether a call on a file shall fail; then errno is set. */
static bool fails(int fd, enum kind kind)
{
        if (!watched(kind))
                return false;

        int saved = errno;
        int error = file_counts(fd, kind) ? verdict() : 0;
        errno = error ? error : saved;
        return error != 0;
}

/* Waits for a slow disk. */
static void be_slow(int fd)
{
        struct control *control = real.control;

        if (!control || atomic_load(&control->delay_ms) == 0)
                return;

        int saved = errno;
        if (file_counts(fd, KIND_SYNC)) {
                atomic_fetch_add(&control->delayed, 1);
                for (int ms = 0; ms < atomic_load(&control->delay_ms); ms += DELAY_STEP_MS)
                        (void)usleep(DELAY_STEP_MS * 1000);
        }
        errno = saved;
}

static bool torn(void)
{
        return atomic_load(&real.control->torn) != 0;
}

static bool fails_to_make(const char *path, int flags)
{
        if (!(flags & O_CREAT) || !watched(KIND_OPEN) || !path_counts(path, KIND_OPEN))
                return false;

        int error = verdict();
        if (error)
                errno = error;
        return error != 0;
}

static bool has_mode(int flags)
{
        return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

int open(const char *path, int flags, ...)
{
        mode_t mode = 0;
        va_list arguments;

        ready();
        va_start(arguments, flags);
        if (has_mode(flags))
                mode = va_arg(arguments, mode_t);
        va_end(arguments);
        return fails_to_make(path, flags) ? -1 : real.open(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
        mode_t mode = 0;
        va_list arguments;

        ready();
        va_start(arguments, flags);
        if (has_mode(flags))
                mode = va_arg(arguments, mode_t);
        va_end(arguments);
        if (directory == AT_FDCWD || path[0] == '/') {
                if (fails_to_make(path, flags))
                        return -1;
        } else if ((flags & O_CREAT) && fails(directory, KIND_OPEN)) {
                return -1;
        }
        return real.openat(directory, path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
        ready();
        if (!fails(fd, KIND_WRITE))
                return real.write(fd, bytes, len);

        int error = errno;
        if (torn() && len > 1)
                (void)real.write(fd, bytes, len / 2);
        errno = error;
        return -1;
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
        ready();
        return fails(fd, KIND_WRITE) ? -1 : real.writev(fd, pieces, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
        ready();
        if (!fails(fd, KIND_WRITE))
                return real.pwrite(fd, bytes, len, offset);

        int error = errno;
        if (torn() && len > 1)
                (void)real.pwrite(fd, bytes, len / 2, offset);
        errno = error;
        return -1;
}

int fsync(int fd)
{
        ready();
        be_slow(fd);
        return fails(fd, KIND_SYNC) ? -1 : real.fsync(fd);
}

int fdatasync(int fd)
{
        ready();
        be_slow(fd);
        return fails(fd, KIND_SYNC) ? -1 : real.fdatasync(fd);
}

int ftruncate(int fd, off_t len)
{
        ready();
        return fails(fd, KIND_SIZE) ? -1 : real.ftruncate(fd, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
        ready();
        return fails(fd, KIND_SIZE) ? -1 : real.fallocate(fd, mode, offset, len);
}

/* Returns the error instead of setting errno (posix_fallocate(3)). */
int posix_fallocate(int fd, off_t offset, off_t len)
{
        ready();
        return fails(fd, KIND_SIZE) ? errno : real.posix_fallocate(fd, offset, len);
}

static bool asks_to_lock(int command, const void *argument)
{
        const struct flock *lock = argument;

        return (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
                command == F_OFD_SETLKW) &&
               lock->l_type == F_WRLCK;
}

/* Every command takes nothing, an int or a pointer: a pointer's register holds each of them. */
int fcntl(int fd, int command, ...)
{
        va_list arguments;

        ready();
        va_start(arguments, command);
        void *argument = va_arg(arguments, void *);
        va_end(arguments);
        if (asks_to_lock(command, argument) && fails(fd, KIND_LOCK))
                return -1;
        return real.fcntl(fd, command, argument);
}

/* The names for large files: off_t has 64 bits here anyway. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int directory, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset)
        __attribute__((alias("pwrite")));
int ftruncate64(int fd, off_t len) __attribute__((alias("ftruncate")));
int fallocate64(int fd, int mode, off_t offset, off_t len) __attribute__((alias("fallocate")));
int posix_fallocate64(int fd, off_t offset, off_t len) __attribute__((alias("posix_fallocate")));
int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));
