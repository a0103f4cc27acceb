/*
 * prefer: see prefer.h.
 */
#include "http/prefer.h"

#include "http/directive.h"

#include <stdlib.h>
#include <string.h>

struct prefer prefer_none(void)
{
        return (struct prefer){.wait_s = -1};
}

/* Reads a number of len digits. Returns -1 if text has anything else in its len characters. */
static int64_t seconds(const char *text, size_t len)
{
        if (len == 0 || strspn(text, "0123456789") != len)
                return -1;
        long long number = strtoll(text, NULL, 10);
        return number < PREFER_WAIT_MAX_S ? number : PREFER_WAIT_MAX_S;
}

int64_t prefer_seconds(const char *text)
{
        return seconds(text, strlen(text));
}

void prefer_add(struct prefer *prefer, const char *value)
{
        struct directive directive;

        while (directive_next(&value, &directive)) {
                if (!directive.value && directive_is(&directive, "respond-async"))
                        prefer->respond_async = true;
                else if (directive.value && directive_is(&directive, "wait") && prefer->wait_s < 0)
                        prefer->wait_s = seconds(directive.value, directive.value_len);
        }
}
