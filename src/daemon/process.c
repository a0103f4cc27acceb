/*
 * process: see process.h.
 */
#include "daemon/process.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void process_protect_secrets(void)
{
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
/* A leak checker attaches to its own process, which this would forbid. */
#ifndef __SANITIZE_ADDRESS__
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

bool process_clean_environment(void)
{
        const char *file = getenv("SSLKEYLOGFILE");
        bool set = file && file[0] != '\0';

        (void)unsetenv("SSLKEYLOGFILE");
        return set;
}

size_t process_raise_file_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 0;
        return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}
