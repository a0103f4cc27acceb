/*
 * command: what solvegatectl can be asked to do. Each command is a function that returns the
 * program's exit status.
 */
#ifndef SOLVEGATE_CTL_COMMAND_H
#define SOLVEGATE_CTL_COMMAND_H

#include <stdbool.h>

/* Besides 0, and 1 for a fault that was found, a refusal or a failure. */
#define EXIT_USAGE  2 /* wrong usage */
#define EXIT_ABSENT 3 /* no daemon can be reached */

/* The command line. */
struct arguments {
        const char *command; /* its first word */
        const char *socket;  /* of the daemon */
        bool json;           /* one JSON object on standard output, in place of text */

        /* which jobs; NULL: any */
        const char *client, *state, *limit;

        int count;
        char *const *items;
};

/* These ask a running daemon. */
int command_operate(const struct arguments *arguments); /* one question; by arguments->command */
int command_top(const struct arguments *arguments);

/* These need none. */
int command_token_new(const struct arguments *arguments);
int command_token_hash(const struct arguments *arguments);
int command_audit_verify(const struct arguments *arguments);

#endif
