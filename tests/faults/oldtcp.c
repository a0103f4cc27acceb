/*
 * oldtcp: a kernel that says less of TCP connections: struct tcp_info ends where it did before
 * Linux 4.1, without tcpi_bytes_acked, as it does in some sandboxes still. Preloaded into the
 * daemon.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h> /* its struct tcp_info is the old one */
#include <string.h>
#include <sys/socket.h>

typedef int getsockopt_fn(int, int, int, void *, socklen_t *);

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict len)
{
        getsockopt_fn *real;
        void *symbol = dlsym(RTLD_NEXT, "getsockopt");

        /* dlsym() gives a pointer that C cannot convert. */
        memcpy(&real, &symbol, sizeof symbol);
        if (level == IPPROTO_TCP && option == TCP_INFO && *len > sizeof(struct tcp_info))
                *len = sizeof(struct tcp_info);
        return real(fd, level, option, value, len);
}
