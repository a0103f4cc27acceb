/*
 * lines: a file read line by line, of any size, in bounded memory.
 */
#ifndef SOLVEGATE_CTL_LINES_H
#define SOLVEGATE_CTL_LINES_H

#include "audit/audit_chain.h"

#include <stdbool.h>
#include <stddef.h>

/* A value; not freed, but fd stays the caller's. Zeroed but for fd it is at the file's begin. */
struct lines {
        int fd;
        size_t start, end; /* what of bytes has not been given out */
        bool at_end;
        bool skipping; /* what is left of a line that is too long */
        char bytes[16 * AUDIT_LINE_BYTES_MAX];
};

/*
 * The next line, without its newline, valid until the next call. Of one that is longer than a line
 * of an audit may be, its first AUDIT_LINE_BYTES_MAX bytes. *ret_ended is false for a last one that
 * has no newline. Returns 1, 0 at the end, or -errno.
 */
int lines_next(struct lines *lines, const char **ret_line, size_t *ret_len, bool *ret_ended);

#endif
