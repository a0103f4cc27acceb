/*
 * ca_file: a file of trusted certificates that an upstream names in place of the system's.
 */
#ifndef SOLVEGATE_UPSTREAM_CA_FILE_H
#define SOLVEGATE_UPSTREAM_CA_FILE_H

#include <stddef.h>

struct config;
struct strbuf;

#define CA_FILE_BYTES_MAX (4 << 20) /* the system's own are about 220 KiB; libcurl takes 8 MB */

/*
 * Reads it as a whole, without waiting, and looks whether it has at least one certificate in PEM
 * and none that is damaged, for which libcurl would refuse the others too. On failure returns
 * -errno, and *ret_problem says what is wrong: a static text, or strerror()'s. The caller frees the
 * bytes. Thread: main.
 */
int ca_file_read(const char *path, char **ret_bytes, size_t *ret_len, const char **ret_problem);

/*
 * Looks whether the `ca` of each upstream can be used (ca_file_read()); otherwise the account would
 * only fail later, as one that cannot be reached. Returns 0, or -errno and one line in problem.
 * Thread: main.
 */
int ca_files_check(const struct config *config, struct strbuf *problem);

#endif
