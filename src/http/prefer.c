/*
 * prefer: see prefer.h. The grammar is preference *( OWS "," OWS preference ), where a preference
 * is token [ BWS "=" BWS word ] *( OWS ";" … ), and a word may be a quoted string.
 */
#include "http/prefer.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t"

struct prefer prefer_none(void)
{
        return (struct prefer){.wait_s = -1};
}

/* Reads digits of at most len characters, all of them. */
static int64_t seconds(const char *text, size_t len)
{
        int64_t number = 0;

        if (len == 0)
                return -1;
        for (size_t i = 0; i < len; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -1;
                number = number * 10 + (text[i] - '0');
                if (number > PREFER_WAIT_MAX_S)
                        number = PREFER_WAIT_MAX_S;
        }
        return number;
}

int64_t prefer_seconds(const char *text)
{
        return seconds(text, strlen(text));
}

/* Cuts blanks off both ends. */
static const char *trim(const char *text, size_t *len)
{
        while (*len > 0 && strchr(BLANKS, *text)) {
                text++;
                (*len)--;
        }
        while (*len > 0 && strchr(BLANKS, text[*len - 1]))
                (*len)--;
        return text;
}

static bool token_is(const char *text, size_t len, const char *token)
{
        return len == strlen(token) && strncasecmp(text, token, len) == 0;
}

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

static void add_one(struct prefer *prefer, const char *text, size_t len)
{
        const char *equals = memchr(text, '=', len);
        size_t name_len = equals ? (size_t)(equals - text) : len;
        const char *name = trim(text, &name_len);

        if (!equals) {
                if (token_is(name, name_len, "respond-async"))
                        prefer->respond_async = true;
                return;
        }
        size_t value_len = len - (size_t)(equals + 1 - text);
        const char *value = trim(equals + 1, &value_len);
        if (token_is(name, name_len, "wait") && prefer->wait_s < 0)
                prefer->wait_s = seconds(value, value_len);
}

void prefer_add(struct prefer *prefer, const char *value)
{
        for (;;) {
                /* Parameters behind a semicolon say nothing that is known here. */
                add_one(prefer, value, span_until(value, ",;"));
                value += span_until(value, ",");
                if (*value == '\0')
                        return;
                value++;
        }
}
