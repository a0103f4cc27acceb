/*
 * send: see send.h.
 */
#include "upstream/send.h"

#include "upstream/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

static _Thread_local bool within_libcurl;

void send_begin(void)
{
        within_libcurl = true;
}

void send_end(void)
{
        within_libcurl = false;
}

/* send(2) is sendto(2) without an address. */
__attribute__((visibility("default"))) ssize_t send(int fd, const void *bytes, size_t len,
                                                    int flags)
{
        ssize_t sent = sendto(fd, bytes, len, flags, NULL, 0);

        if (sent < 0 && within_libcurl && (errno == ECONNRESET || errno == EPIPE)) {
                int error = errno;
                errno = upstream_socket_peek(fd) == SOCKET_DATA ? EAGAIN : error;
        }
        return sent;
}
