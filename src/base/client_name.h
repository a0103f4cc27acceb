/*
 * client_name: which names may be given, to clients and to what else the configuration names. One
 * rule for the configuration and for solvegatectl. Thread: any.
 */
#ifndef SOLVEGATE_BASE_CLIENT_NAME_H
#define SOLVEGATE_BASE_CLIENT_NAME_H

#define CLIENT_NAME_BYTES_MAX 64
#define CLIENT_NAME_LOCAL     "local" /* everyone, as long as there are no clients */

/*
 * What is wrong with a name as a file name, a metric's label and a word in a log line: words to put
 * behind it, with how to mend it; or NULL. Static text.
 */
const char *plain_name_problem(const char *name);

/* The same of a client's name, which may neither be CLIENT_NAME_LOCAL nor look like a token. */
const char *client_name_problem(const char *name);

#endif
