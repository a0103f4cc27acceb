/*
 * fd: see fd.h.
 */
#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

ssize_t fd_read_full(int fd, void *buf, size_t size)
{
        char *bytes = buf;
        size_t len = 0;

        while (len < size) {
                ssize_t n = read(fd, bytes + len, size - len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        return (ssize_t)len;
}
