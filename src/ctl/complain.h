/*
 * complain: what solvegatectl has to complain of, on standard error, in one form.
 */
#ifndef SOLVEGATE_CTL_COMPLAIN_H
#define SOLVEGATE_CTL_COMPLAIN_H

#include <stddef.h>

/*
 * Writes "solvegatectl: TEXT" as one line. Text that is not ours may be in it: it is escaped as by
 * plain_append(). Returns EXIT_FAILURE.
 */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same of standard output, which could not be written: error is an errno. */
int complain_of_output(int error);

/* Writes the text to standard output, past stdio. Returns 0, or EXIT_FAILURE after a complaint. */
int write_out(const char *text, size_t len);

#endif
