/*
 * instance: see instance.h.
 */
#include "base/instance.h"

#include "base/random.h"

#include <pthread.h>
#include <string.h>

#define PROTOCOL     "1.1 " /* how solvegate received the job: HTTP/1.1 */
#define PREFIX       "solvegate-"
#define RANDOM_CHARS 16

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char via[sizeof PROTOCOL PREFIX + RANDOM_CHARS] = PROTOCOL PREFIX;

static void draw(void)
{
        random_token(via + strlen(via), RANDOM_CHARS);
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
