/*
 * directive: the elements of a list in a header field (RFC 9110, 5.6.1), as Cache-Control (RFC
 * 9111, 5.2) and Prefer (RFC 7240) have them. Thread: any.
 */
#ifndef SOLVEGATE_HTTP_DIRECTIVE_H
#define SOLVEGATE_HTTP_DIRECTIVE_H

#include <stdbool.h>
#include <stddef.h>

/* NAME or NAME=VALUE; points into the field. Parameters after a semicolon are ignored. */
struct directive {
        const char *name, *value; /* value: NULL without an equals sign; quotes are a part of it */
        size_t name_len, value_len;
};

/* Reads the element at *text, and moves *text past it. Returns false at the end of the list. */
bool directive_next(const char **text, struct directive *ret_directive);

/* Returns whether the directive has this name, without regard to case. */
bool directive_is(const struct directive *directive, const char *name);

/* Returns whether a list has a directive of this name, whatever its value is. A semicolon is part of
 * the name: these lists have no parameters. */
bool directive_has(const char *list, const char *name);

#endif
