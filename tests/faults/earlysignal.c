/*
 * earlysignal: sends the process some signals while it reads its command line, for the tests of
 * what comes before the daemon is up. Preloaded into a program.
 *
 * $EARLYSIGNAL_NUMBERS has their numbers, with a space between them.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool sent;

static void send_all(void)
{
        const char *next = getenv("EARLYSIGNAL_NUMBERS");
        char *end = NULL;

        if (!next || sent)
                return;
        sent = true;
        for (long number = strtol(next, &end, 10); end != next; number = strtol(next, &end, 10)) {
                (void)kill(getpid(), (int)number);
                next = end;
        }
}

int getopt_long(int argc, char *const *argv, const char *options, const struct option *long_options,
                int *index)
{
        int (*real)(int, char *const *, const char *, const struct option *, int *);
        void *symbol = dlsym(RTLD_NEXT, "getopt_long");

        send_all();
        memcpy(&real, &symbol, sizeof real); /* dlsym() gives a pointer that C cannot convert */
        return real(argc, argv, options, long_options, index);
}
