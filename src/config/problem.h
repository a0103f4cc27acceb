/*
 * problem: the one line that says what is wrong with a file the operator wrote.
 */
#ifndef SOLVEGATE_CONFIG_PROBLEM_H
#define SOLVEGATE_CONFIG_PROBLEM_H

#include <stddef.h>

struct strbuf;

/*
 * Appends `FILE:LINE: text`, or `FILE: text` for line 0. It stays one line whatever the file's
 * name and content are: control characters become '?'. The rest of a word that begins like a token
 * of ours becomes '*'.
 */
void problem_write(struct strbuf *problem, const char *file, size_t line, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#endif
