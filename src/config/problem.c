/*
 * problem: see problem.h.
 */
#include "config/problem.h"

#include "base/strbuf.h"
#include "config/config.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 2048

/* A token in the wrong place is a secret all the same. */
static void hide_tokens(char *text)
{
        static const char token_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-_";

        while ((text = strstr(text, CONFIG_TOKEN_PREFIX))) {
                text += strlen(CONFIG_TOKEN_PREFIX);
                size_t len = strspn(text, token_chars);
                memset(text, '*', len);
                text += len;
        }
}

void problem_write(struct strbuf *problem, const char *file, size_t line, const char *format, ...)
{
        char text[TEXT_BYTES_MAX];
        char whole[PATH_MAX + TEXT_BYTES_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        hide_tokens(text);
        if (line > 0)
                (void)snprintf(whole, sizeof whole, "%s:%zu: %s", file, line, text);
        else
                (void)snprintf(whole, sizeof whole, "%s: %s", file, text);
        for (char *c = whole; *c; c++) {
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = '?';
        }
        (void)strbuf_puts(problem, whole);
}
