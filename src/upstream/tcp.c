/*
 * tcp: see tcp.h.
 */
#include "upstream/tcp.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct tcp_info info_of(int fd)
{
        struct tcp_info info;
        socklen_t len = sizeof info;

        memset(&info, 0, sizeof info); /* an older kernel fills in less */
        (void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
        return info;
}

uint64_t tcp_acknowledged(int fd)
{
        return info_of(fd).tcpi_bytes_acked;
}

bool tcp_all_acknowledged(int fd)
{
        int bytes = 0;

        return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

int64_t tcp_silent_ms(int fd)
{
        return info_of(fd).tcpi_last_data_recv;
}
