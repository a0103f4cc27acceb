/*
 * options: the command line of solvegate (solvegate(8)).
 */
#ifndef SOLVEGATE_DAEMON_OPTIONS_H
#define SOLVEGATE_DAEMON_OPTIONS_H

#include <stdbool.h>

#define EXIT_USAGE 2 /* wrong usage or configuration */

struct options {
        const char *config_file;
        bool check_only;
};

/*
 * Reads the command line. Returns true to go on; false to exit with *ret_status, after -h or -V,
 * or after wrong usage was explained on standard error.
 */
bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_status);

#endif
