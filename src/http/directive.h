/*
 * directive: what a list of directives in a header field says (RFC 9110, 5.6.1).
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_HTTP_DIRECTIVE_H
#define SOLVEGATE_HTTP_DIRECTIVE_H

#include <stdbool.h>

/* Whether a Cache-Control value (RFC 9111, 5.2) has this directive; an argument does not count. */
bool directive_has(const char *value, const char *name);

#endif
