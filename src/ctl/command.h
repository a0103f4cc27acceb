/*
 * command: what solvegatectl can be asked to do. Each command is a function that returns the
 * program's exit status.
 */
#ifndef SOLVEGATE_CTL_COMMAND_H
#define SOLVEGATE_CTL_COMMAND_H

#include <stdbool.h>

#define EXIT_USAGE 2 /* wrong usage; 1 is a fault that was found, or a failure */

/* The command line behind the command's name. */
struct arguments {
        bool json; /* one JSON object on standard output, in place of text */
        int count;
        char *const *items;
};

int token_command_new(const struct arguments *arguments);
int token_command_hash(const struct arguments *arguments);
int audit_command_verify(const struct arguments *arguments);

#endif
