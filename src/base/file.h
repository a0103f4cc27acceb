/*
 * file: reads files that an operator has named. Thread: any.
 */
#ifndef SOLVEGATE_BASE_FILE_H
#define SOLVEGATE_BASE_FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct file {
        char *bytes; /* then a NUL */
        size_t len;
        struct stat status; /* of what was opened */
};

/*
 * Reads a whole regular file of at most bytes_max bytes. Opens without waiting, since a FIFO would
 * hang the daemon, and examines what was opened, not the name, which may change meanwhile. Follows
 * symbolic links: systemd and Kubernetes place secrets through them.
 *
 * Returns 0, and the caller frees with file_done(); or -EISDIR for a directory, -EINVAL for
 * anything else but a regular file, -EFBIG for a larger file, -ENOMEM, or what open(2) or read(2)
 * has failed with; ret_file is then untouched.
 */
int file_read(const char *path, size_t bytes_max, struct file *ret_file);

/* Wipes and frees the bytes. Takes a zeroed struct too. */
void file_done(struct file *file);

/* Returns the directory of a path, "." for a name alone; the caller frees. NULL: no memory. */
char *file_directory(const char *path);

/*
 * Reads until the buffer is full, or to the end. Returns how many bytes, or -errno; then some of
 * the buffer may have been written.
 */
ssize_t file_read_full(int fd, void *buf, size_t size);

#endif
