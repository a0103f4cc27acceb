/*
 * problem: see problem.h.
 */
#include "config/problem.h"

#include "base/secret.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX 1024
#define TEXT_BYTES_MAX 2048
#define LINE_CHARS     32 /* ":LINE: " */

_Static_assert(FILE_BYTES_MAX + TEXT_BYTES_MAX + LINE_CHARS <= PROBLEM_LINE_BYTES_MAX,
               "the line fits");

/* Replaces what a terminal obeys or a reader does not see. */
static void clean(char *text)
{
        size_t len = strlen(text);

        for (size_t i = 0, step; i < len; i += step) {
                const unsigned char *next = (const unsigned char *)text + i;
                step = utf8_sequence(next, len - i);
                if (step > 0 && !utf8_hidden(utf8_decode(next, step)))
                        continue;
                step = step > 0 ? step : 1;
                memset(text + i, '?', step);
        }
}

/* The end of a long name tells more than its beginning. */
static void write_file(const char *file, char ret_name[static FILE_BYTES_MAX])
{
        size_t len = strlen(file);

        if (len < FILE_BYTES_MAX)
                memcpy(ret_name, file, len + 1);
        else
                (void)snprintf(ret_name, FILE_BYTES_MAX, "...%s",
                               file + len - (FILE_BYTES_MAX - 4));
}

void problem_write(struct strbuf *problem, const char *file, size_t line, const char *format, ...)
{
        char name[FILE_BYTES_MAX], text[TEXT_BYTES_MAX];
        char whole[FILE_BYTES_MAX + TEXT_BYTES_MAX + LINE_CHARS];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        write_file(file, name);
        if (line > 0)
                (void)snprintf(whole, sizeof whole, "%s:%zu: %s", name, line, text);
        else
                (void)snprintf(whole, sizeof whole, "%s: %s", name, text);
        secret_mask(whole); /* a token in a wrong place is one all the same */
        clean(whole);
        (void)strbuf_puts(problem, whole);
}
