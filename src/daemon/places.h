/*
 * places: the files and directories that a configuration names, and what every user of this
 * machine could do to them.
 */
#ifndef SOLVEGATE_DAEMON_PLACES_H
#define SOLVEGATE_DAEMON_PLACES_H

struct config;
struct strbuf;

/*
 * Refuses what every user of this machine can write or replace: the state directory and its
 * databases, the audit file, the directory of the admin socket, certificates, and files of
 * authorities. The configuration and credentials are checked when they are read. Returns 0, or
 * -EACCES with one line in problem. Thread: main.
 */
int places_check(const struct config *config, struct strbuf *problem);

#endif
