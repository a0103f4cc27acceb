/*
 * aheadclock: a wall clock that is ahead, for the tests of what a day's end brings. Preloaded into
 * the daemon.
 *
 * $AHEADCLOCK_FILE holds by how many seconds, as a 64-bit number of the machine's byte order; it
 * may change at any time. All but CLOCK_REALTIME goes on as it is.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *ahead_s; /* NULL: by nothing */

__attribute__((constructor)) static void map_file(void)
{
        const char *path = getenv("AHEADCLOCK_FILE");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map = MAP_FAILED;

        if (fd >= 0) {
                map = mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, fd, 0);
                (void)close(fd);
        }
        if (map != MAP_FAILED)
                ahead_s = map;
}

int clock_gettime(clockid_t id, struct timespec *ret_now)
{
        int (*real)(clockid_t, struct timespec *);
        void *symbol = dlsym(RTLD_NEXT, "clock_gettime");

        memcpy(&real, &symbol, sizeof real); /* dlsym() gives a pointer that C cannot convert */
        int r = real(id, ret_now);
        if (r == 0 && id == CLOCK_REALTIME && ahead_s)
                ret_now->tv_sec += atomic_load(ahead_s);
        return r;
}
