/*
 * file: see file.h.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t file_read_full(int fd, void *buf, size_t size)
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

static int read_open(int fd, size_t bytes_max, struct file *file)
{
        if (fstat(fd, &file->status) < 0)
                return -errno;
        if (!S_ISREG(file->status.st_mode))
                return S_ISDIR(file->status.st_mode) ? -EISDIR : -EINVAL;
        file->bytes = malloc(bytes_max + 1);
        if (!file->bytes)
                return -ENOMEM;
        file->len = bytes_max + 1; /* what is wiped after a failure */
        ssize_t len = file_read_full(fd, file->bytes, file->len);
        if (len < 0)
                return (int)len;
        if ((size_t)len > bytes_max)
                return -EFBIG;
        file->len = (size_t)len;
        file->bytes[len] = '\0';
        return 0;
}

int file_read(const char *path, size_t bytes_max, struct file *ret_file)
{
        struct file file = {0};
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        int r = fd < 0 ? -errno : read_open(fd, bytes_max, &file);

        if (fd >= 0)
                (void)close(fd);
        if (r < 0)
                file_done(&file);
        else
                *ret_file = file;
        return r;
}

void file_done(struct file *file)
{
        if (file->bytes)
                explicit_bzero(file->bytes, file->len);
        free(file->bytes);
        *file = (struct file){0};
}

char *file_directory(const char *path)
{
        const char *slash = strrchr(path, '/');

        if (!slash)
                return strdup(".");
        return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}
