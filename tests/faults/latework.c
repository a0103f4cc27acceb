/*
 * latework: holds back the work of libuv's thread pool, for the tests of what waits for it.
 * Preloaded into the daemon.
 *
 * As long as the file $LATEWORK_GATE is not there, no work begins. The daemon gives all work to
 * libuv with the same function (base/loop).
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define LOOK_AGAIN_NS 1000000

static _Atomic(uv_work_cb) work_of_daemon;

static void work_late(uv_work_t *request)
{
        const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
        const char *gate = getenv("LATEWORK_GATE");

        while (gate && access(gate, F_OK) != 0)
                (void)nanosleep(&pause, NULL);
        atomic_load (&work_of_daemon)(request);
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *request, uv_work_cb work, uv_after_work_cb after)
{
        int (*real)(uv_loop_t *, uv_work_t *, uv_work_cb, uv_after_work_cb);
        void *symbol = dlsym(RTLD_NEXT, "uv_queue_work");

        memcpy(&real, &symbol, sizeof real); /* dlsym() gives a pointer that C cannot convert */
        atomic_store(&work_of_daemon, work);
        return real(loop, request, work_late, after);
}
