/*
 * authorities: the files of trusted certificates that upstreams name in place of the system's.
 */
#ifndef SOLVEGATE_DAEMON_AUTHORITIES_H
#define SOLVEGATE_DAEMON_AUTHORITIES_H

struct config;
struct strbuf;

/*
 * Looks whether the `ca` of each upstream can be used (ca_file_read()); otherwise the account would
 * only fail later, as one that cannot be reached. Returns 0, or -errno and one line in problem.
 */
int authorities_check(const struct config *config, struct strbuf *problem);

#endif
