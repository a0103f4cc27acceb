/*
 * problem: see problem.h.
 */
#include "config/problem.h"

#include "base/secret.h"
#include "base/strbuf.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES_MAX 2048

void problem_write(struct strbuf *problem, const char *file, size_t line, const char *format, ...)
{
        char text[TEXT_BYTES_MAX];
        char whole[PATH_MAX + TEXT_BYTES_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        if (line > 0)
                (void)snprintf(whole, sizeof whole, "%s:%zu: %s", file, line, text);
        else
                (void)snprintf(whole, sizeof whole, "%s: %s", file, text);
        secret_mask(whole); /* a token in a wrong place is one all the same */
        for (char *c = whole; *c; c++) {
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = '?';
        }
        (void)strbuf_puts(problem, whole);
}
