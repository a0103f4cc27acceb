/*
 * lines: see lines.h.
 */
#include "ctl/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Reads more behind what is there. Returns 0 or -errno; at_end may be set. */
static int refill(struct lines *lines)
{
        ssize_t n;

        memmove(lines->bytes, lines->bytes + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
        do
                n = read(lines->fd, lines->bytes + lines->end, sizeof lines->bytes - lines->end);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        lines->end += (size_t)n;
        lines->at_end = n == 0;
        return 0;
}

/* Gives out bytes up to end, and goes on at next. */
static int give(struct lines *lines, size_t end, size_t next, const char **ret_line,
                size_t *ret_len)
{
        size_t len = end - lines->start;

        *ret_line = lines->bytes + lines->start;
        *ret_len = len < AUDIT_LINE_BYTES_MAX ? len : AUDIT_LINE_BYTES_MAX;
        lines->start = next;
        return 1;
}

int lines_next(struct lines *lines, const char **ret_line, size_t *ret_len, bool *ret_ended)
{
        for (;;) {
                const char *start = lines->bytes + lines->start;
                size_t len = lines->end - lines->start;
                const char *newline = len > 0 ? memchr(start, '\n', len) : NULL;
                if (newline) {
                        size_t end = (size_t)(newline - lines->bytes);
                        *ret_ended = true;
                        if (!lines->skipping)
                                return give(lines, end, end + 1, ret_line, ret_len);
                        lines->skipping = false;
                        lines->start = end + 1;
                } else if (lines->skipping && len > 0) {
                        lines->start = lines->end;
                } else if (len >= AUDIT_LINE_BYTES_MAX || (lines->at_end && len > 0)) {
                        lines->skipping = *ret_ended = !lines->at_end;
                        return give(lines, lines->end, lines->end, ret_line, ret_len);
                } else if (lines->at_end) {
                        return 0;
                } else {
                        int r = refill(lines);
                        if (r < 0)
                                return r;
                }
        }
}
