/*
 * permissions: whether every user of this machine could change what solvegate reads or keeps.
 *
 * A file or directory that others can write (mode o+w) is refused, as a credential is; so is a
 * directory on the way to a file, in which they could put another one in its place. In a directory
 * with the sticky bit, such as /tmp, only a file's owner can do that (inode(7)). Owners and groups
 * are not refused: in a user namespace, such as that of PrivateUsers= of systemd.exec(5), root's
 * files do not look like root's. permissions_find_odd() reports them.
 *
 * What cannot be examined is not refused here: the code that uses it reports that. On failure all
 * return -EACCES and write one line to problem. Thread: main.
 */
#ifndef SOLVEGATE_CONFIG_PERMISSIONS_H
#define SOLVEGATE_CONFIG_PERMISSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct strbuf;

/* Checks a file that was opened as path, by its status, and all directories on the way to it. */
int permissions_check_open(const char *path, const struct stat *status, struct strbuf *problem);

/* The same for a file by its path. */
int permissions_check_file(const char *path, struct strbuf *problem);

/* Checks all directories on the way to path, which need not exist. */
int permissions_check_parents(const char *path, struct strbuf *problem);

/*
 * Checks a directory in which solvegate makes files of its own, and all directories on the way to
 * it. The sticky bit does not help there: others could add files that belong to a database.
 */
int permissions_check_directory(const char *path, struct strbuf *problem);

/*
 * Tells whether a file or directory can be changed by a user or group that need not be the
 * operator's: its owner is neither root nor the user of this process, or it is writable by a group
 * that is neither root's nor that of this process. Writes that as words to ret_what.
 */
bool permissions_find_odd(const char *path, char *ret_what, size_t size);

#endif
