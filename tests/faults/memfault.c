/*
 * memfault: makes memory run out on request, for the tests of what is answered then. Preloaded into
 * the daemon.
 *
 * While the control file ($MEMFAULT_CONTROL, shared with the test) says so, the first piece of
 * everything that grows is refused: realloc() of nothing. That is where a body or an answer begins;
 * what libmicrohttpd needs of its own is not touched, so the refusal can still be told.
 *
 * Separately, the kernel has no watch for another descriptor: libuv's epoll_ctl() that tries one
 * out fails. The one by which it then watches is not touched, since libuv aborts if that fails.
 *
 * Thread: any. The control file is read and written by atomic operations alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* The control file, as in memfault.py. */
struct control {
        _Atomic int64_t refused;     /* how often, so far */
        _Atomic int32_t out;         /* whether memory is out */
        _Atomic int32_t watches_out; /* whether the kernel's watches are */
};

static struct control *control; /* NULL: it never is */
static void *(*real_realloc)(void *, size_t);
static int (*real_epoll_ctl)(int, int, int, struct epoll_event *);

/* dlsym() gives a pointer that C cannot convert. */
static void find_realloc(void)
{
        void *symbol = dlsym(RTLD_NEXT, "realloc");

        memcpy(&real_realloc, &symbol, sizeof symbol);
}

static void find_epoll_ctl(void)
{
        void *symbol = dlsym(RTLD_NEXT, "epoll_ctl");

        memcpy(&real_epoll_ctl, &symbol, sizeof symbol);
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("MEMFAULT_CONTROL");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

        find_realloc();
        find_epoll_ctl();
        if (fd < 0)
                return;
        void *memory =
                mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (memory != MAP_FAILED)
                control = memory;
}

void *realloc(void *pointer, size_t bytes)
{
        if (!pointer && control && atomic_load(&control->out)) {
                (void)atomic_fetch_add(&control->refused, 1);
                errno = ENOMEM;
                return NULL;
        }
        if (!real_realloc)
                find_realloc();
        return real_realloc(pointer, bytes);
}

/* libuv tries a descriptor out with the number -1 in place of its own (uv__io_check_fd). */
int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
        if (operation == EPOLL_CTL_ADD && event->data.fd == -1 && control &&
            atomic_load(&control->watches_out)) {
                (void)atomic_fetch_add(&control->refused, 1);
                errno = ENOSPC;
                return -1;
        }
        if (!real_epoll_ctl)
                find_epoll_ctl();
        return real_epoll_ctl(epoll_fd, operation, fd, event);
}
