/*
 * log_sink: see log_sink.h.
 */
#include "base/log_sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* systemd.exec(5), JOURNAL_STREAM: device and inode of the stream, where it is not redirected. */
static bool is_journal_stream(const struct stat *stat)
{
        const char *stream = getenv("JOURNAL_STREAM");
        char ours[64];

        (void)snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)stat->st_dev,
                       (uintmax_t)stat->st_ino);
        return stream && strcmp(stream, ours) == 0;
}

static void open_ours(struct log_sink *sink, int fd)
{
        char path[32];

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int ours = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        sink->kind = ours < 0 ? LOG_SINK_POLLED : LOG_SINK_OURS;
        if (ours >= 0)
                sink->fd = ours;
}

void log_sink_open(struct log_sink *sink, int fd, const char *journal)
{
        struct stat stat;

        *sink = (struct log_sink){
                .kind = LOG_SINK_PLAIN, .fd = fd, .journal = journal, .journal_fd = -1};
        if (fstat(fd, &stat) < 0)
                return;
        sink->journal_stream = is_journal_stream(&stat);
        if (S_ISSOCK(stat.st_mode))
                sink->kind = LOG_SINK_SOCKET;
        else if (S_ISFIFO(stat.st_mode) || isatty(fd))
                open_ours(sink, fd);
}

void log_sink_close(struct log_sink *sink)
{
        if (sink->kind == LOG_SINK_OURS)
                (void)close(sink->fd);
        if (sink->journal_fd >= 0)
                (void)close(sink->journal_fd);
        *sink = (struct log_sink){.kind = LOG_SINK_PLAIN, .fd = -1, .journal_fd = -1};
}

/* Whether a write of up to PIPE_BUF bytes would not block (pipe(7)). */
static bool has_room(int fd)
{
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

        return poll(&poll_fd, 1, 0) == 1 && !(poll_fd.revents & POLLNVAL);
}

/* Gives as much as is taken at once. Returns how much, or -errno. */
static ssize_t put(const struct log_sink *sink, const char *bytes, size_t len)
{
        ssize_t n = -1;

        switch (sink->kind) {
        case LOG_SINK_PLAIN:
        case LOG_SINK_OURS:
                n = write(sink->fd, bytes, len);
                break;
        case LOG_SINK_POLLED:
                if (!has_room(sink->fd))
                        return -EAGAIN;
                n = write(sink->fd, bytes, len < PIPE_BUF ? len : PIPE_BUF);
                break;
        case LOG_SINK_SOCKET:
                n = send(sink->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
        }
        return n < 0 ? -errno : n;
}

/* Returns 0 or -errno; *ret_written is how much was taken in any case. */
static int put_all(const struct log_sink *sink, const char *bytes, size_t len, size_t *ret_written)
{
        size_t written = 0;
        int r = 0;

        while (r == 0 && written < len) {
                ssize_t n = put(sink, bytes + written, len - written);
                if (n == 0)
                        r = -EIO;
                else if (n < 0 && n != -EINTR)
                        r = (int)n;
                else if (n > 0)
                        written += (size_t)n;
        }
        *ret_written = written;
        return r;
}

static int finish_rest(struct log_sink *sink)
{
        size_t written;

        if (sink->rest_at == sink->rest_to)
                return 0;
        int r = put_all(sink, sink->rest + sink->rest_at, sink->rest_to - sink->rest_at, &written);
        sink->rest_at += written;
        return r;
}

int log_sink_write(struct log_sink *sink, const char *line, size_t len)
{
        size_t written;

        assert(len <= sizeof sink->rest);
        int r = finish_rest(sink);
        if (r < 0)
                return r;
        r = put_all(sink, line, len, &written);
        if (written == 0)
                return r;
        memcpy(sink->rest, line + written, len - written);
        sink->rest_at = 0;
        sink->rest_to = len - written;
        return 0;
}

int log_sink_send_journal(struct log_sink *sink, const char *datagram, size_t len)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (strlen(sink->journal) >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        memcpy(address.sun_path, sink->journal, strlen(sink->journal));
        if (sink->journal_fd < 0)
                sink->journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (sink->journal_fd < 0)
                return -errno;
        /* The path each time: a journal that was restarted may have another socket there. */
        ssize_t n = sendto(sink->journal_fd, datagram, len, MSG_DONTWAIT | MSG_NOSIGNAL,
                           (const struct sockaddr *)&address, sizeof address);
        return n < 0 ? -errno : 0;
}
