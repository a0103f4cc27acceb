/*
 * fd: reading from a file descriptor. Thread: any.
 */
#ifndef SOLVEGATE_BASE_FD_H
#define SOLVEGATE_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads until the buffer is full, or to the end. Returns how many bytes, or -errno; then some of
 * the buffer may have been written.
 */
ssize_t fd_read_full(int fd, void *buf, size_t size);

#endif
