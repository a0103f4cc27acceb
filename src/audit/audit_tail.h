/*
 * audit_tail: the lines of an audit file, read from its end.
 *
 * Not locked; it belongs to one thread.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_TAIL_H
#define SOLVEGATE_AUDIT_AUDIT_TAIL_H

#include "audit/audit_chain.h"

#include <stddef.h>
#include <sys/types.h>

struct audit_tail {
        int fd;      /* the caller's; readable */
        off_t start; /* of what is in bytes */
        size_t len;  /* of what has not been given out */
        char bytes[16 * AUDIT_LINE_BYTES_MAX];
};

/* Begins behind so many bytes of the file. */
void audit_tail_init(struct audit_tail *tail, int fd, off_t bytes);

/*
 * Gives out what is behind the last newline that is left, and takes that newline away. Valid until
 * the next call. Returns 1, 0 when nothing is left, -EBADMSG for a line that is longer than one of
 * an audit, which ends the reading, or another -errno.
 */
int audit_tail_take(struct audit_tail *tail, const char **ret_line, size_t *ret_len);

#endif
