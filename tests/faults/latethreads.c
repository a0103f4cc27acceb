/*
 * latethreads: holds back each thread before its first step, for the tests of what comes first.
 * Preloaded into the daemon.
 *
 * As long as the file $LATETHREADS_GATE is not there, no new thread begins.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_NS 1000000

struct start {
        void *(*run)(void *);
        void *arg;
};

static void *begin_late(void *arg)
{
        const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
        const char *gate = getenv("LATETHREADS_GATE");
        struct start start = *(struct start *)arg;

        free(arg);
        while (gate && access(gate, F_OK) != 0)
                (void)nanosleep(&pause, NULL);
        return start.run(start.arg);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
        int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
        void *symbol = dlsym(RTLD_NEXT, "pthread_create");
        struct start *start = malloc(sizeof *start);

        if (!start)
                return EAGAIN;
        memcpy(&real, &symbol, sizeof real); /* dlsym() gives a pointer that C cannot convert */
        *start = (struct start){run, arg};
        int error = real(thread, attributes, begin_late, start);
        if (error != 0)
                free(start);
        return error;
}
