/*
 * directive: see directive.h.
 */
#include "http/directive.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* The length up to the next comma that is not within a quoted string. */
static size_t element_length(const char *text)
{
        bool quoted = false;
        size_t i;

        for (i = 0; text[i] != '\0' && (quoted || text[i] != ','); i++) {
                if (text[i] == '"')
                        quoted = !quoted;
                else if (quoted && text[i] == '\\' && text[i + 1] != '\0')
                        i++;
        }
        return i;
}

bool directive_has(const char *value, const char *name)
{
        for (;;) {
                value += strspn(value, BLANKS ",");
                if (*value == '\0')
                        return false;
                size_t token = strcspn(value, BLANKS ",=");
                if (token == strlen(name) && strncasecmp(value, name, token) == 0)
                        return true;
                value += element_length(value);
        }
}
