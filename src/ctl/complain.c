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

#define LINE_BYTES_MAX (4 << 20) /* a word of the command line may be in it, escaped */

int complain(const char *format, ...)
{
        struct strbuf line;
        va_list arguments;

        strbuf_init(&line, LINE_BYTES_MAX);
        va_start(arguments, format);
        (void)plain_vprintf(&line, format, arguments);
        va_end(arguments);
        (void)fprintf(stderr, "solvegatectl: %s\n", line.failed ? "no memory" : line.data);
        strbuf_done(&line);
        return EXIT_FAILURE;
}

int write_out(const char *text, size_t len)
{
        while (len > 0) {
                ssize_t n = write(STDOUT_FILENO, text, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return complain("standard output: %s", strerror(errno));
                text += n;
                len -= (size_t)n;
        }
        return 0;
}

int print_out(struct strbuf *text)
{
        int status = text->failed ? complain("no memory") : write_out(text->data, text->len);

        strbuf_done(text);
        return status;
}
