/*
 * complain: what solvegatectl has to complain of, on standard error, in one form.
 */
#ifndef SOLVEGATE_CTL_COMPLAIN_H
#define SOLVEGATE_CTL_COMPLAIN_H

#include <stddef.h>

struct strbuf;

/*
 * Writes "solvegatectl: TEXT" as one line. Text that is not ours may be in it: it is escaped as by
 * plain_append(). Returns EXIT_FAILURE.
 */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes the text to standard output, past stdio. Returns 0, or EXIT_FAILURE after a complaint. */
int write_out(const char *text, size_t len);

/* The same of a text that may have failed, which it frees. */
int print_out(struct strbuf *text);

#endif
