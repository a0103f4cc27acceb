/*
 * token_field: see token_field.h.
 */
#include "http/token_field.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* What stands behind the scheme Bearer, or NULL for another scheme. */
static const char *behind_bearer(const char *value)
{
        static const char scheme[] = "Bearer";
        size_t len = sizeof scheme - 1;

        if (strncasecmp(value, scheme, len) != 0)
                return NULL;
        value += len;
        return *value == '\0' || strchr(BLANKS, *value) ? value : NULL;
}

void token_field_add(struct token_field *token, const char *name, const char *value)
{
        if (strcasecmp(name, "Authorization") == 0)
                value = behind_bearer(value + strspn(value, BLANKS));
        else if (strcasecmp(name, "apikey") != 0)
                return;
        if (!value)
                return;
        value += strspn(value, BLANKS);
        size_t len = strlen(value);
        while (len > 0 && strchr(BLANKS, value[len - 1]))
                len--;
        if (len == 0)
                return;
        if (token->len == 0) {
                token->text = value;
                token->len = len;
        } else if (token->len != len || memcmp(token->text, value, len) != 0) {
                token->differs = true;
        }
}
