/*
 * audit_file: the file that the audit's thread appends to, and the end of its chain.
 *
 * Lines are gathered in memory, written, and kept there until they are on disk. After a failed
 * fdatasync(2) nobody knows what is (Linux takes the pages for clean), so the file is cut back to
 * what the last good one left, and written again from there. After a failed write(2) it is cut back
 * to what was written for sure. Lines that are not on disk when the file is deleted go to the next.
 *
 * Not locked; it belongs to one thread at a time.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_FILE_H
#define SOLVEGATE_AUDIT_AUDIT_FILE_H

#include "audit/audit_chain.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_FILE_GATHER_BYTES_MAX (1 << 20) /* of lines that are not on disk yet */

struct audit_file {
        char *path;
        int fd;                                 /* locked by flock(2) */
        struct audit_chain chain, synced_chain; /* at the end of the lines; of what is on disk */
        struct strbuf lines;                    /* not on disk yet */
        size_t written;     /* bytes of them that are in the file, if not on disk */
        off_t synced_bytes; /* of the file: what is on disk */
        bool cut_back;      /* something failed: the file may be longer than these two say */
};

/*
 * Opens the file, or makes it, as audit_open() says. On failure returns -errno with a sentence in
 * problem, and leaves *ret_file untouched.
 */
int audit_file_open(const char *path, struct audit_file *ret_file, struct strbuf *problem);

/* Closes, without writing what is left. */
void audit_file_close(struct audit_file *file);

/*
 * Appends a line to those gathered. Returns 0; -ENOBUFS where they have to be synced first;
 * -ENOMEM; or -EMSGSIZE for members too long for a line.
 */
int audit_file_append(struct audit_file *file, const char *members, int64_t entry);

/* Writes what is gathered. Returns 0 or -errno; then calling it again goes on. */
int audit_file_write(struct audit_file *file);

/* Syncs what was written. Requires that all is. Returns 0 or -errno; then it is to be written
 * again. -ESTALE: it is on disk, in a file that is gone. */
int audit_file_sync(struct audit_file *file);

/* Whether it has no name any more: somebody has deleted it, or put another in its place. */
bool audit_file_is_gone(const struct audit_file *file);

/*
 * Goes on in a new file, if the path is not this one any more, with the lines that are not on disk:
 * so they have to be, unless the old one is gone. On failure returns -errno and goes on in the old
 * one. -EEXIST: there is another file, which is not empty.
 */
int audit_file_reopen(struct audit_file *file);

#endif
