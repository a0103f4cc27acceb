/*
 * daemon: the program, from its arguments to its exit status. main() chooses the backends, so a
 * program of the tests can run the same daemon with others.
 */
#ifndef SOLVEGATE_DAEMON_DAEMON_H
#define SOLVEGATE_DAEMON_DAEMON_H

struct service_backends;

/* Checks the configuration, or runs the service. Returns the exit status. To be called once, by
 * main(). */
int daemon_run(int argc, char **argv, const struct service_backends *backends);

#endif
