/*
 * audit_tail: see audit_tail.h.
 */
#include "audit/audit_tail.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void audit_tail_init(struct audit_tail *tail, int fd, off_t bytes)
{
        tail->fd = fd;
        tail->start = bytes;
        tail->len = 0;
}

/* Takes more of the file in front of what is there. Returns 0 or -errno. */
static int refill(struct audit_tail *tail)
{
        size_t room = sizeof tail->bytes - tail->len, read = 0;
        size_t more = (off_t)room < tail->start ? room : (size_t)tail->start;

        memmove(tail->bytes + more, tail->bytes, tail->len);
        while (read < more) {
                ssize_t n = pread(tail->fd, tail->bytes + read, more - read,
                                  tail->start - (off_t)more + (off_t)read);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                read += (size_t)n;
        }
        tail->start -= (off_t)more;
        tail->len += more;
        return 0;
}

int audit_tail_take(struct audit_tail *tail, const char **ret_line, size_t *ret_len)
{
        const char *newline = NULL;

        if (tail->len == 0 && tail->start == 0)
                return 0;
        if (tail->len > 0)
                newline = memrchr(tail->bytes, '\n', tail->len);
        if (!newline && tail->start > 0) {
                if (tail->len >= AUDIT_LINE_BYTES_MAX)
                        return -EBADMSG;
                int r = refill(tail);
                if (r < 0)
                        return r;
                newline = memrchr(tail->bytes, '\n', tail->len);
        }
        size_t begin = newline ? (size_t)(newline - tail->bytes) + 1 : 0;
        if (tail->len - begin >= AUDIT_LINE_BYTES_MAX)
                return -EBADMSG;
        *ret_line = tail->bytes + begin;
        *ret_len = tail->len - begin;
        tail->len = newline ? begin - 1 : 0;
        return 1;
}
