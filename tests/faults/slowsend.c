/*
 * slowsend: a slow network interface. Each large write to a socket waits before it is made, so that
 * what a peer does meanwhile always comes in between. Preloaded into the daemon.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE_BYTES 16384
#define WAIT_US     30000

typedef ssize_t send_fn(int, const void *, size_t, int);
typedef ssize_t sendto_fn(int, const void *, size_t, int, const struct sockaddr *, socklen_t);

static void wait_if_large(size_t len)
{
        if (len >= LARGE_BYTES)
                (void)usleep(WAIT_US);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
        send_fn *real;
        void *symbol = dlsym(RTLD_NEXT, "send");

        /* dlsym() gives a pointer that C cannot convert. */
        memcpy(&real, &symbol, sizeof symbol);
        wait_if_large(len);
        return real(fd, bytes, len, flags);
}

/* The address has the type that glibc gives it. */
ssize_t sendto(int fd, const void *bytes, size_t len, int flags, __CONST_SOCKADDR_ARG address,
               socklen_t address_len)
{
        sendto_fn *real;
        void *symbol = dlsym(RTLD_NEXT, "sendto");

        memcpy(&real, &symbol, sizeof symbol);
        wait_if_large(len);
        return real(fd, bytes, len, flags, address.__sockaddr__, address_len);
}
