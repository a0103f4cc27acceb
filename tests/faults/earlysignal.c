/*
 * earlysignal: sends the process some signals while it starts, for the tests of what comes before
 * the daemon is up. Preloaded into a program.
 *
 * $EARLYSIGNAL_NUMBERS has the numbers of those that it sends while the program reads its command
 * line, $EARLYSIGNAL_LOADING of those while its libraries are initialized, before main(); each with
 * a space between them.
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

static void send_all(const char *variable)
{
        const char *next = getenv(variable);
        char *end = NULL;

        if (!next)
                return;
        for (long number = strtol(next, &end, 10); end != next; number = strtol(next, &end, 10)) {
                (void)kill(getpid(), (int)number);
                next = end;
        }
}

__attribute__((constructor)) static void send_while_loading(void)
{
        send_all("EARLYSIGNAL_LOADING");
}

int getopt_long(int argc, char *const *argv, const char *options, const struct option *long_options,
                int *index)
{
        int (*real)(int, char *const *, const char *, const struct option *, int *);
        void *symbol = dlsym(RTLD_NEXT, "getopt_long");

        if (!sent)
                send_all("EARLYSIGNAL_NUMBERS");
        sent = true;
        memcpy(&real, &symbol, sizeof real); /* dlsym() gives a pointer that C cannot convert */
        return real(argc, argv, options, long_options, index);
}
