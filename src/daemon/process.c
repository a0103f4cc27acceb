/*
 * process: see process.h.
 */
#include "daemon/process.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/*
 * glibc raises its thresholds with the largest block that was freed, so each of its arenas may keep
 * up to 64 MB of free memory at its end. malloc_trim(3) does not shrink the end of the arenas
 * besides the main one. The limit is large enough for the small blocks of requests, which take
 * nothing from the kernel and give nothing back to it.
 */
#define SLACK_BYTES (1 << 20)

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

void process_limit_slack(void)
{
        (void)mallopt(M_TRIM_THRESHOLD, SLACK_BYTES);
        (void)mallopt(M_MMAP_THRESHOLD, SLACK_BYTES);
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
