/*
 * complain: see complain.h.
 */
#include "ctl/complain.h"

#include "base/strbuf.h"
#include "ctl/plain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 8192

int complain(const char *format, ...)
{
        char text[TEXT_BYTES_MAX];
        struct strbuf line;
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        strbuf_init(&line, sizeof text * PLAIN_GROWTH_MAX);
        (void)plain_append(&line, text);
        (void)fprintf(stderr, "solvegatectl: %s\n", line.failed ? "no memory" : line.data);
        strbuf_done(&line);
        return EXIT_FAILURE;
}

int complain_of_output(int error)
{
        return complain("standard output: %s", strerror(error));
}

int write_out(const char *text, size_t len)
{
        while (len > 0) {
                ssize_t n = write(STDOUT_FILENO, text, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return complain_of_output(errno);
                text += n;
                len -= (size_t)n;
        }
        return 0;
}
