/*
 * log_sink: where the lines of the log go, without ever waiting for whoever reads them.
 *
 * A pipe or a terminal is written through a description of our own that does not block, so that
 * O_NONBLOCK is not forced on others who share standard error; where it cannot be opened, poll(2)
 * says whether the next piece would be taken. A socket is sent to with MSG_DONTWAIT. A line that is
 * taken in part is finished before the next one. A regular file is just written.
 *
 * Not locked.
 */
#ifndef SOLVEGATE_BASE_LOG_SINK_H
#define SOLVEGATE_BASE_LOG_SINK_H

#include "base/log_record.h"

#include <stdbool.h>
#include <stddef.h>

enum log_sink_kind {
        LOG_SINK_PLAIN,   /* a regular file, /dev/null: takes everything */
        LOG_SINK_OURS,    /* a pipe or a terminal, by a description that does not block */
        LOG_SINK_POLLED,  /* the same by one that may */
        LOG_SINK_SOCKET,  /* a connected socket */
};

struct log_sink {
        enum log_sink_kind kind;
        int fd;
        bool journal_stream;     /* it is a stream that the journal reads */
        const char *journal;     /* the path of the journal's socket */
        int journal_fd;          /* -1: not opened yet */
        size_t rest_at, rest_to; /* what is left of a line that was taken in part */
        char rest[LOG_LINE_BYTES_MAX];
};

/* Looks at what fd is, which stays the caller's. journal is borrowed. */
void log_sink_open(struct log_sink *sink, int fd, const char *journal);

/* Closes what it has opened. */
void log_sink_close(struct log_sink *sink);

/*
 * Writes a line. Returns 0; -EAGAIN: it was not taken, and nothing of it was written; or another
 * -errno. Requires len <= LOG_LINE_BYTES_MAX.
 */
int log_sink_write(struct log_sink *sink, const char *line, size_t len);

/*
 * Sends a datagram to the journal. Returns 0; -EAGAIN: it was not taken at once; another -errno
 * where there is no journal.
 */
int log_sink_send_journal(struct log_sink *sink, const char *datagram, size_t len);

#endif
