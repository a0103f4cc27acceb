/*
 * standard_fds: see standard_fds.h.
 */
#include "base/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int standard_fds_take(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                /* The lowest one that is free is this one: those below are taken. */
                int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
                if (open("/dev/null", mode) < 0)
                        return -errno;
        }
        return 0;
}
