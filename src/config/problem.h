/*
 * problem: the one line that says what is wrong with a file the operator wrote.
 */
#ifndef SOLVEGATE_CONFIG_PROBLEM_H
#define SOLVEGATE_CONFIG_PROBLEM_H

#include <stddef.h>

struct strbuf;

#define PROBLEM_LINE_BYTES_MAX 4000

/*
 * Appends `FILE:LINE: text`, or `FILE: text` for line 0. It stays one line of UTF-8 whatever the
 * file's name and content are: control characters, others that are not seen, and bytes that are not
 * UTF-8 become '?', and a long name loses its beginning. The rest of a word that begins like a
 * token of ours becomes '*'. Writes at most PROBLEM_LINE_BYTES_MAX bytes.
 */
void problem_write(struct strbuf *problem, const char *file, size_t line, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#endif
