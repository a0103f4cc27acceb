/*
 * instance: see instance.h.
 */
#include "base/instance.h"

#include "base/random.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL     "1.1 " /* how solvegate received the job: HTTP/1.1 */
#define PREFIX       "solvegate-"
#define RANDOM_CHARS 16

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char via[sizeof PROTOCOL PREFIX + RANDOM_CHARS];

/* Without random bytes the process and its start will do: it only has to be unlike others. */
static void draw(void)
{
        char id[RANDOM_CHARS + 1];

        if (random_token(id, RANDOM_CHARS) < 0)
                (void)snprintf(id, sizeof id, "%08x%08x", (unsigned)getpid(), (unsigned)time(NULL));
        (void)snprintf(via, sizeof via, "%s%s%s", PROTOCOL, PREFIX, id);
}

const char *instance_via(void)
{
        (void)pthread_once(&once, draw);
        return via;
}

const char *instance_name(void)
{
        return instance_via() + sizeof PROTOCOL - 1;
}
