/*
 * directive: see directive.h.
 */
#include "http/directive.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* The length up to the first of the separators that is not within a quoted string. */
static size_t span_until(const char *text, const char *separators)
{
        bool quoted = false;
        size_t i;

        for (i = 0; text[i] != '\0'; i++) {
                if (text[i] == '"')
                        quoted = !quoted;
                else if (quoted && text[i] == '\\' && text[i + 1] != '\0')
                        i++;
                else if (!quoted && strchr(separators, text[i]))
                        break;
        }
        return i;
}

/* The text from start to end without the blanks around it. */
static const char *trim(const char *start, const char *end, size_t *ret_len)
{
        while (start < end && strchr(BLANKS, *start))
                start++;
        while (end > start && strchr(BLANKS, end[-1]))
                end--;
        *ret_len = (size_t)(end - start);
        return start;
}

bool directive_next(const char **text, struct directive *ret_directive)
{
        const char *start = *text + strspn(*text, BLANKS ",");
        const char *end = start + span_until(start, ",;");
        const char *equals = memchr(start, '=', (size_t)(end - start));

        *ret_directive = (struct directive){0};
        ret_directive->name = trim(start, equals ? equals : end, &ret_directive->name_len);
        if (equals)
                ret_directive->value = trim(equals + 1, end, &ret_directive->value_len);
        *text = end + span_until(end, ",");
        return *start != '\0';
}

bool directive_is(const struct directive *directive, const char *name)
{
        return directive->name_len == strlen(name) &&
               strncasecmp(directive->name, name, directive->name_len) == 0;
}

bool directive_has(const char *list, const char *name)
{
        struct directive directive;

        while (directive_next(&list, &directive)) {
                size_t token = strcspn(directive.name, BLANKS ",=");
                if (token == strlen(name) && strncasecmp(directive.name, name, token) == 0)
                        return true;
        }
        return false;
}
