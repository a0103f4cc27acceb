/*
 * transfer_connection: the connection of a transfer, as its request begins and a response does.
 */
#include "upstream/transfer_private.h"

#include "base/clock.h"
#include "upstream/pool.h"
#include "upstream/socket.h"
#include "upstream/tcp.h"

#include <openssl/ssl.h>
#include <string.h>

bool transfer_is_written(const struct transfer *transfer)
{
        return transfer->body_written >= transfer->text_len;
}

/* The session of a TLS connection, or NULL. */
static SSL *tls_of(const struct transfer *transfer)
{
        const struct curl_tlssessioninfo *session = NULL;

        (void)curl_easy_getinfo(transfer->easy, CURLINFO_TLS_SSL_PTR, &session);
        return session && session->backend == CURLSSLBACKEND_OPENSSL ? session->internals : NULL;
}

static bool speaks_http2(const SSL *tls)
{
        const unsigned char *protocol = NULL;
        unsigned len = 0;

        if (tls)
                SSL_get0_alpn_selected(tls, &protocol, &len);
        return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

/*
 * Whether a request may be written to this connection. Over HTTP/2 a response names its request,
 * and its frames may come at any time. Over TLS a new connection may have session tickets to read.
 */
static bool is_usable(struct transfer *transfer)
{
        const SSL *tls = tls_of(transfer);
        enum socket_input input;

        transfer->socket->tls = tls != NULL;
        transfer->socket->http2 = speaks_http2(tls);
        if (transfer->socket->http2 || (tls && !transfer->reused))
                return true;
        /* The kernel does not say, so no response could be told from a surplus one. */
        if (transfer->reused && transfer->acknowledged == 0)
                return false;
        input = tls && SSL_has_pending(tls) ? SOCKET_DATA
                                            : upstream_socket_peek(transfer->socket->fd);
        /* Within TLS, the notice that a connection is closed is data as well. */
        if (input == SOCKET_DATA && !tls)
                transfer->stray = true;
        return input == SOCKET_EMPTY;
}

/* Called with a connection made, immediately before the first byte of the request. */
int transfer_on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port,
                          int local_port)
{
        struct transfer *transfer = arg;

        if (pool_take_stray(transfer->pool))
                transfer->stray = true;
        if (transfer->body_read > 0)
                return CURL_PREREQFUNC_ABORT;
        transfer->socket =
                pool_socket(transfer->pool, remote_ip, remote_port, local_ip, local_port);
        if (!transfer->socket)
                return CURL_PREREQFUNC_ABORT;
        transfer->reused = transfer->socket->requests > 0;
        transfer->acknowledged = tcp_acknowledged(transfer->socket->fd);
        transfer->unusable = !is_usable(transfer);
        if (transfer->unusable)
                return CURL_PREREQFUNC_ABORT;
        transfer->socket->requests++;
        transfer->begun_ms = clock_monotonic_ms();
        return CURL_PREREQFUNC_OK;
}

/*
 * Whether a response can be one to this request: all of it was written, and its beginning has
 * reached the peer's host, which a surplus response that was on its way at the time does not
 * acknowledge. A refusal may come before the rest has arrived. An answer may not.
 */
static bool can_be_answered(const struct transfer *transfer, bool refusal)
{
        if (!transfer->socket || !transfer_is_written(transfer))
                return false;
        int fd = transfer->socket->fd;
        return tcp_acknowledged(fd) > transfer->acknowledged &&
               (refusal || tcp_all_acknowledged(fd));
}

/*
 * Each line of a header. A response that begins on a used connection before the request was sent
 * may be a surplus one that was on its way already: it is not an answer. On a new connection it can
 * only be about this request: an early refusal. The code is read by libcurl, which accepts more
 * first lines than RFC 9112, section 4 does ("HTTP/2 200", "http/1.1 200").
 */
size_t transfer_on_header(char *line, size_t size, size_t count, void *arg)
{
        struct transfer *transfer = arg;
        long code = 0;

        (void)line;
        if (!transfer->reused || (transfer->socket && transfer->socket->http2))
                return size * count;
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
        if (code == transfer->judged_code) /* a further line of the same header */
                return size * count;
        if (code / 100 == 1 || can_be_answered(transfer, code / 100 != 2)) {
                transfer->judged_code = code;
                return size * count;
        }
        transfer->premature = true;
        transfer->stray = true;
        return 0; /* ends the transfer, and its connection */
}
