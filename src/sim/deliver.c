/*
 * deliver: how an answer leaves, see request.h. Everything that breaks HTTP or TCP on purpose is
 * here.
 */
#include "sim/request.h"

#include "base/log.h"
#include "sim/counters.h"
#include "sim/reply.h"
#include "sim/sim.h"

#include <gnutls/gnutls.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define DRIP_MS           300
#define SPLIT_MS          20
#define STRAY_MS          5 /* between two looks for an order */
#define UNSENT_MS_MAX     1000
#define SURPLUS_BYTES_MAX 1024

/* An answer that is sent piece by piece. Freed by libmicrohttpd through stream_free(). */
struct stream {
        const struct sim *sim;
        int socket_fd;
        bool drip;
        size_t len;
        size_t stop_at; /* the connection is closed there; len: it is not */
        char *text;
};

static int socket_of(const struct sim_request *request)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

        return info ? info->connect_fd : -1;
}

static void stream_free(void *cls)
{
        struct stream *stream = cls;

        free(stream->text);
        free(stream);
}

static ssize_t stream_read(void *cls, uint64_t position, char *buf, size_t max)
{
        struct stream *stream = cls;
        size_t len = stream->stop_at - (size_t)position;

        if (len == 0)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        if (stream->drip && position > 0 &&
            (sim_wait_for_close(stream->sim, stream->socket_fd, DRIP_MS) ||
             !sim_wait(stream->sim, 0)))
                return MHD_CONTENT_READER_END_WITH_ERROR;
        if (len > max)
                len = max;
        memcpy(buf, stream->text + position, len);
        return (ssize_t)len;
}

static struct MHD_Response *response_from_stream(struct sim_request *request,
                                                 struct sim_reply *reply)
{
        struct stream *stream = calloc(1, sizeof *stream);
        bool drip = reply->delivery == SIM_DELIVERY_DRIP;

        if (!stream)
                return NULL;
        stream->sim = request->sim;
        stream->socket_fd = socket_of(request);
        stream->drip = drip;
        stream->text = strbuf_take(&reply->body, &stream->len);
        stream->stop_at = drip ? stream->len : stream->len / 2;
        struct MHD_Response *response = MHD_create_response_from_callback(
                stream->len, drip ? 1 : stream->len + 1, stream_read, stream, stream_free);
        if (!response)
                stream_free(stream);
        return response;
}

static struct MHD_Response *response_from_text(struct sim_reply *reply)
{
        size_t len = 0;
        char *text = strbuf_take(&reply->body, &len);

        if (!text)
                return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        struct MHD_Response *response =
                MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
        if (!response)
                free(text);
        return response;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
        if (*value)
                (void)MHD_add_response_header(response, name, value);
}

static enum MHD_Result send_answer(struct sim_request *request, struct sim_reply *reply)
{
        bool whole = reply->delivery == SIM_DELIVERY_WHOLE;
        struct MHD_Response *response =
                whole ? response_from_text(reply) : response_from_stream(request, reply);

        if (!response)
                return MHD_NO;
        add_header(response, "Content-Type", reply->content_type);
        add_header(response, "Retry-After", reply->retry_after);
        add_header(response, "Allow", reply->allow);
        request->aftermath = whole ? reply->aftermath : SIM_AFTERMATH_NONE;
        /* Otherwise the other side may send its next request into the reset. */
        if (request->aftermath == SIM_AFTERMATH_RESET)
                add_header(response, "Connection", "close");
        request->surplus = reply->surplus;
        request->stray_orders = atomic_load(&request->sim->stray_orders);
        if (request->aftermath == SIM_AFTERMATH_STRAY) {
                request->stray_waits = true;
                sim_counters_raise(request->sim->counters, SIM_GAUGE_STRAYS);
        }
        /* Before the first byte: the other side may send its next request before we are back. */
        if (whole)
                sim_request_leave(request);
        enum MHD_Result queued = MHD_queue_response(request->connection, reply->code, response);
        MHD_destroy_response(response);
        return queued;
}

/* ---- around libmicrohttpd ---- */

/* The session of a connection with TLS, or NULL. */
static gnutls_session_t session_of(const struct sim_request *request)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

        return info ? info->tls_session : NULL;
}

/*
 * So few bytes go at once into the buffer of an idle socket. libmicrohttpd leaves TCP_CORK set
 * behind an answer; TCP_NODELAY sends what that would hold back for 200 ms (tcp(7)).
 */
static bool write_now(const struct sim_request *request, const char *text, size_t len)
{
        gnutls_session_t session = session_of(request);
        int fd = socket_of(request), one = 1;

        ssize_t n = session ? gnutls_record_send(session, text, len)
                            : send(fd, text, len, MSG_NOSIGNAL);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return n == (ssize_t)len;
}

static void end_in_order(const struct sim_request *request)
{
        gnutls_session_t session = session_of(request);

        if (session)
                (void)gnutls_bye(session, GNUTLS_SHUT_WR);
        (void)shutdown(socket_of(request), SHUT_RDWR);
}

/*
 * A right answer with a surplus one behind it. libmicrohttpd would not write both at once, so this
 * does, and serves no further request on the connection.
 */
static void send_with_surplus(struct sim_request *request, struct sim_reply *reply)
{
        struct strbuf text;

        strbuf_init(&text, SIM_REPLY_BYTES_MAX);
        (void)strbuf_printf(&text,
                            "HTTP/1.1 %u OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                            reply->code, reply->content_type, reply->body.len);
        (void)strbuf_append(&text, reply->body.data, reply->body.len);
        size_t right = text.len;
        sim_surplus_write(reply->surplus, &text);
        bool split = reply->delivery == SIM_DELIVERY_SPLIT;
        size_t first = split ? right + (text.len - right) / 2 : text.len;
        sim_request_leave(request);
        if (!text.failed && write_now(request, text.data, first) && first < text.len) {
                (void)sim_wait(request->sim, SPLIT_MS);
                (void)write_now(request, text.data + first, text.len - first);
        }
        strbuf_done(&text);
        if (reply->surplus == SIM_SURPLUS_CLOSE)
                end_in_order(request);
        (void)sim_wait_for_close(request->sim, socket_of(request), -1);
}

/*
 * SO_LINGER with 0 would do it on close(2), but libmicrohttpd shuts the socket down before it
 * closes it, and the other side would see an orderly end first. Dissolving the association sends
 * the RST at once.
 */
static void reset_connection(const struct sim_request *request)
{
        const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        const struct linger linger = {.l_onoff = 1, .l_linger = 0};
        int fd = socket_of(request);

        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        (void)connect(fd, &nowhere, sizeof nowhere);
}

/* ---- what follows an answer ---- */

static bool has_unsent(int fd)
{
        int bytes = 0;

        return ioctl(fd, SIOCOUTQNSD, &bytes) == 0 && bytes > 0;
}

static void reset_after(const struct sim_request *request)
{
        int fd = socket_of(request);

        for (int i = 0; i < UNSENT_MS_MAX && has_unsent(fd) && sim_wait(request->sim, 1); i++)
                ;
        reset_connection(request);
}

/* Returns whether a stray response was ordered while the connection was idle. */
static bool wait_for_order(const struct sim_request *request)
{
        while (!sim_wait_for_input(request->sim, socket_of(request), STRAY_MS)) {
                if (atomic_load(&request->sim->stray_orders) != request->stray_orders)
                        return true;
        }
        return false;
}

static void write_stray(const struct sim_request *request)
{
        struct sim_counters *counters = request->sim->counters;
        struct strbuf text;

        if (!wait_for_order(request)) {
                sim_counters_add(counters, SIM_COUNTER_STRAYS_MISSED, 1);
                return;
        }
        strbuf_init(&text, SURPLUS_BYTES_MAX);
        sim_surplus_write(request->surplus, &text);
        bool written = !text.failed && write_now(request, text.data, text.len);
        if (request->surplus == SIM_SURPLUS_CLOSE)
                end_in_order(request);
        sim_counters_add(counters, written ? SIM_COUNTER_STRAYS : SIM_COUNTER_STRAYS_MISSED, 1);
        strbuf_done(&text);
}

void sim_request_follow_up(struct sim_request *request)
{
        switch (request->aftermath) {
        case SIM_AFTERMATH_NONE:
                break;
        case SIM_AFTERMATH_RESET:
                reset_after(request);
                break;
        case SIM_AFTERMATH_STRAY:
                write_stray(request);
                break;
        }
}

static void log_answer(const struct sim_request *request, const struct sim_reply *reply)
{
        static const char *const ways[] = {"",       " half", " drip",   " close",
                                           " reset", " hang", " double", " split"};

        if (request->route && request->route->api != 0)
                log_info("%s %u%s %s", sim_endpoint_name(request->route->endpoint), reply->code,
                         ways[reply->delivery], request->id);
}

enum MHD_Result sim_request_deliver(struct sim_request *request, struct sim_reply *reply)
{
        enum MHD_Result result = MHD_NO;

        if (reply->body.failed)
                sim_reply_say(reply, 500, "the answer is too large", "error");
        log_answer(request, reply);
        if (reply->delay_ms > 0 && !sim_wait(request->sim, reply->delay_ms))
                reply->delivery = SIM_DELIVERY_CLOSE;
        switch (reply->delivery) {
        case SIM_DELIVERY_WHOLE:
        case SIM_DELIVERY_HALF:
        case SIM_DELIVERY_DRIP:
                result = send_answer(request, reply);
                break;
        case SIM_DELIVERY_DOUBLE:
        case SIM_DELIVERY_SPLIT:
                send_with_surplus(request, reply);
                break;
        case SIM_DELIVERY_HANG:
                (void)sim_wait_for_close(request->sim, socket_of(request), -1);
                break;
        case SIM_DELIVERY_RESET:
                reset_connection(request);
                break;
        case SIM_DELIVERY_CLOSE:
                break;
        }
        sim_reply_done(reply);
        return result;
}
