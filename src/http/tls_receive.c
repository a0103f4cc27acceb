/*
 * tls_receive: see tls_receive.h. The two functions of GnuTLS by which libmicrohttpd receives, see
 * receive.h.
 */
#include "http/tls_receive.h"

#include "base/clock.h"
#include "http/receive.h"
#include "http/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <pthread.h>

typedef ssize_t record_recv(gnutls_session_t session, void *bytes, size_t size);
typedef int handshake(gnutls_session_t session);

static record_recv *library_record_recv; /* GnuTLS's own */
static handshake *library_handshake;     /* likewise */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void find_library(void)
{
        /* POSIX has no other conversion to a pointer to a function. */
        *(void **)&library_record_recv = dlsym(RTLD_NEXT, "gnutls_record_recv");
        *(void **)&library_handshake = dlsym(RTLD_NEXT, "gnutls_handshake");
}

void tls_receive_prepare(void)
{
        (void)pthread_once(&library_once, find_library);
}

static ssize_t read_record(const struct receive_call *call, void *bytes, size_t size)
{
        return library_record_recv ? library_record_recv(call->session, bytes, size)
                                   : GNUTLS_E_INTERNAL_ERROR;
}

RECEIVE_REPLACES ssize_t gnutls_record_recv(gnutls_session_t session, void *bytes, size_t size)
{
        const struct receive_call call = {
                .fd = gnutls_transport_get_int(session),
                .layer = RECEIVE_TLS,
                .read = read_record,
                .session = session,
        };
        int refused;

        tls_receive_prepare();
        ssize_t got = receive_read(&call, bytes, size, &refused);
        if (refused == 0)
                return got;
        return refused == -EAGAIN ? GNUTLS_E_AGAIN : GNUTLS_E_PREMATURE_TERMINATION;
}

/* After GNUTLS_E_AGAIN libmicrohttpd calls again in its next turn, and asks for that at once. */
RECEIVE_REPLACES int gnutls_handshake(gnutls_session_t session)
{
        int fd = gnutls_transport_get_int(session);
        unsigned messages = tls_handshake_messages();
        int64_t began_us = clock_monotonic_us();

        tls_receive_prepare();
        if (!library_handshake)
                return GNUTLS_E_INTERNAL_ERROR;
        if (!receive_may_handshake(fd))
                return GNUTLS_E_AGAIN;
        int r = library_handshake(session);
        if (r != GNUTLS_E_AGAIN || tls_handshake_messages() != messages)
                receive_handshake_took(fd, clock_monotonic_us() - began_us);
        return r;
}
