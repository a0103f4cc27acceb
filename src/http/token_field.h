/*
 * token_field: the token in the fields of a request's header.
 *
 * Not locked; a value belongs to one thread. It points into the fields and copies nothing.
 */
#ifndef SOLVEGATE_HTTP_TOKEN_FIELD_H
#define SOLVEGATE_HTTP_TOKEN_FIELD_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: none was shown. */
struct token_field {
        const char *text; /* not NUL-terminated; valid with len */
        size_t len;       /* 0: none was shown */
        bool differs;     /* another one was shown besides */
};

/*
 * Looks at one field: a token stands in `apikey`, or in `Authorization` behind the scheme Bearer
 * (RFC 6750, 2.1); the name and the scheme are matched without regard to case. An empty token is
 * none, and so is another scheme. The same token may be shown several times.
 */
void token_field_add(struct token_field *token, const char *name, const char *value);

#endif
