/*
 * server: see server.h.
 *
 * libmicrohttpd's epoll descriptor is edge-triggered inside and watched level-triggered here. It
 * may have more to do than the descriptor shows (MHD_get_timeout), so before each wait of the loop
 * a prepare handle asks for that moment and sets a timer to it. While connections are paused
 * (pause.h), only the timer makes turns: one in each iteration of the loop, so that the other
 * handles of the loop, such as those of other servers, have theirs in between.
 *
 * As long as a TLS handshake waits for its client, libmicrohttpd takes the connection for ready and
 * that moment is always now: a client that stops in the middle would keep the processor busy. So
 * turns in which no handler was called come in a row only so often, and then after pauses; what
 * comes on a socket still has its turn at once. The same holds for the handshakes that a turn has
 * left to the next (pause.h).
 */
#include "http/server.h"

#include "access/policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/loop.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "http/acceptor.h"
#include "http/connection.h"
#include "http/framing.h"
#include "http/hold.h"
#include "http/listener.h"
#include "http/pause.h"
#include "http/receive.h"
#include "http/request.h"
#include "http/server_private.h"
#include "http/tally.h"
#include "http/tls.h"
#include "http/tls_receive.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/*
 * Of libmicrohttpd for each connection: what was read, what it keeps of the header, and the header
 * of the response. It reads into half of it. What was read ahead stays there, so the other half has
 * to hold FRAMING_MEMORY_BYTES_MAX without the header, and the response's. Where a header has left
 * a few bytes of its half, it would read as few at a time.
 */
#define CONNECTION_MEMORY_BYTES 32768
#define INACTIVITY_BEYOND_S     5 /* the deadlines of connection.c come first */

static_assert(CONNECTION_MEMORY_BYTES / 2 >= FRAMING_HEADER_BYTES_MAX + 4096 &&
                      CONNECTION_MEMORY_BYTES / 2 >= FRAMING_MEMORY_BYTES_MAX + 4096,
              "a header that framing.c accepts must fit with what is read ahead");

#define WARN_AGAIN_MS 10000 /* the same trouble is told as often as this */

#define IDLE_TURNS_FREE  8 /* an answer takes a few, in which no handler is called */
#define IDLE_PAUSE_MS    1
#define IDLE_PAUSE_SHARE 4 /* as many times as long as the turn before was */

/* The handles close on their own time, so they outlive the server. */
struct server_turn {
        struct server *server;
        uv_poll_t poll;
        uv_prepare_t prepare;
        uv_timer_t timer;
        int open_handles;
        unsigned idle_turns; /* since a handler was called, or handshakes were left */
        uint64_t turn_ns;    /* how long the last one took */
};

static void turn(struct server *server)
{
        struct server_turn *handles = server->turn;
        uint64_t began_ns = uv_hrtime();

        (void)uv_timer_stop(&handles->timer); /* on_prepare() sets it again */
        server->again = false;
        server->parsed_bytes = 0;
        pause_turn(server);
        handles->idle_turns++;
        receive_begin(server);
        (void)MHD_run(server->daemon);
        receive_end();
        if (server->handshakes_wait)
                handles->idle_turns = 0;
        handles->turn_ns = uv_hrtime() - began_ns;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct server *server = ((struct server_turn *)poll->data)->server;

        (void)status;
        (void)events;
        if (!server->again)
                turn(server);
}

static void on_turn_timer(uv_timer_t *timer)
{
        turn(((struct server_turn *)timer->data)->server);
}

/* In how many milliseconds libmicrohttpd wants its next turn. Returns false when only events count.
 */
static bool next_turn(const struct server_turn *handles, uint64_t *ret_ms)
{
        struct server *server = handles->server;
        MHD_UNSIGNED_LONG_LONG timeout_ms = 0;

        if (!server->again && MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES)
                return false;
        if (!server->again && timeout_ms == 0 && handles->idle_turns > IDLE_TURNS_FREE &&
            connection_any_handshake(server->connections))
                timeout_ms = IDLE_PAUSE_MS + IDLE_PAUSE_SHARE * handles->turn_ns / 1000000;
        *ret_ms = timeout_ms;
        return true;
}

static void on_prepare(uv_prepare_t *prepare)
{
        struct server_turn *handles = prepare->data;
        uv_handle_t *timer = (uv_handle_t *)&handles->timer;
        uint64_t wait_ms;

        if (!next_turn(handles, &wait_ms)) {
                (void)uv_timer_stop(&handles->timer);
                return;
        }
        /* What else wakes the loop does not put the turn off. */
        if (uv_is_active(timer) && uv_timer_get_due_in(&handles->timer) <= wait_ms)
                return;
        uv_update_time(prepare->loop);
        (void)uv_timer_start(&handles->timer, on_turn_timer, wait_ms, 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct server_turn *handles = handle->data;

        if (--handles->open_handles == 0)
                free(handles);
}

static void turn_stop(struct server_turn *handles)
{
        uv_close((uv_handle_t *)&handles->poll, on_handle_closed);
        uv_close((uv_handle_t *)&handles->prepare, on_handle_closed);
        uv_close((uv_handle_t *)&handles->timer, on_handle_closed);
}

static int turn_start(struct server *server)
{
        const union MHD_DaemonInfo *info =
                MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        uv_loop_t *uv = loop_uv(server->loop);
        struct server_turn *handles = calloc(1, sizeof *handles);

        if (!handles)
                return -ENOMEM;
        int r = info ? uv_poll_init(uv, &handles->poll, info->epoll_fd) : -EIO;
        if (r < 0) {
                free(handles);
                return r;
        }
        handles->server = server;
        handles->poll.data = handles->prepare.data = handles->timer.data = handles;
        handles->open_handles = 3;
        (void)uv_prepare_init(uv, &handles->prepare);
        (void)uv_timer_init(uv, &handles->timer);
        r = uv_poll_start(&handles->poll, UV_READABLE, on_poll);
        if (r < 0) {
                turn_stop(handles);
                return r;
        }
        (void)uv_prepare_start(&handles->prepare, on_prepare);
        server->turn = handles;
        return 0;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_bytes, void **request_arg)
{
        struct server *server = arg;

        server->turn->idle_turns = 0;
        return request_on_access(server, mhd, url, method, version, upload, upload_bytes,
                                 request_arg);
}

/* Whoever sends what it cannot read makes one come. */
static struct log_limit details = LOG_LIMIT(LOG_LEVEL_DEBUG, "details of libmicrohttpd", 1000, 100);

static void on_mhd_log(void *arg, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

static void on_mhd_log(void *arg, const char *format, va_list args)
{
        char text[512];

        (void)arg;
        (void)vsnprintf(text, sizeof text, format, args);
        text[strcspn(text, "\n")] = '\0';
        if (log_enabled(LOG_LEVEL_DEBUG) && log_limit_take(&details, clock_monotonic_us()))
                log_debug("libmicrohttpd: %s", text);
}

static unsigned inactivity_s(const struct config *config)
{
        int64_t longest_ms = CONNECTION_IDLE_TIMEOUT_MS;

        if (longest_ms < config->limits.header_timeout_ms)
                longest_ms = config->limits.header_timeout_ms;
        if (longest_ms < config->limits.body_timeout_ms)
                longest_ms = config->limits.body_timeout_ms;
        return (unsigned)(longest_ms / 1000) + INACTIVITY_BEYOND_S;
}

static struct MHD_Daemon *start_daemon(struct server *server)
{
        /* Ours counts, which a reload may change; libmicrohttpd's cannot. */
        const intptr_t connections = CONFIG_CONNECTIONS_MAX + SERVER_CONNECTIONS_BEYOND_LIMIT;
        struct MHD_OptionItem options[] = {
                /* First, so that it is heard of in what follows. */
                {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_mhd_log, server},
                /* It refuses what framing.c might miss. 1.0 then allows one empty line before
                 * a request line. */
                {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
                {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
                {MHD_OPTION_CONNECTION_LIMIT, connections, NULL},
                {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)server->inactivity_s, NULL},
                {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)connection_on_request_line, NULL},
                {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)request_on_completed, server},
                {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connection_on_notify, server},
                {MHD_OPTION_END, 0, NULL},
        };
        unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                         MHD_USE_NO_LISTEN_SOCKET;

#if MHD_VERSION >= 0x00097707
        /* Without it a connection is only queued, and opened in the middle of the next turn. */
        flags |= MHD_USE_NO_THREAD_SAFETY;
#endif
        if (!server->identity)
                return MHD_start_daemon(flags, 0, NULL, NULL, on_access, server, MHD_OPTION_ARRAY,
                                        options, MHD_OPTION_END);
        return MHD_start_daemon(flags | MHD_USE_TLS, 0, NULL, NULL, on_access, server,
                                MHD_OPTION_ARRAY, options, MHD_OPTION_ARRAY, tls_options(),
                                MHD_OPTION_END);
}

/* ---- accepting ---- */

static bool on_admit(void *arg)
{
        return connection_admit(arg);
}

/* libmicrohttpd closes the socket where it cannot take it. */
static void on_accepted(void *arg, int fd, const struct sockaddr *address, socklen_t len)
{
        const struct server *server = arg;

        (void)MHD_add_connection(server->daemon, fd, address, len);
}

/* Not for each connection that has to wait. */
static void on_accept_failed(void *arg, int error)
{
        struct server *server = arg;
        int64_t now_ms = clock_monotonic_ms();
        const char *name = strerrorname_np(error);

        if (now_ms < server->warn_again_ms)
                return;
        server->warn_again_ms = now_ms + WARN_AGAIN_MS;
        log_warning("connections have to wait: accept failed: %s (%s)%s", strerror(error),
                    name ? name : "unknown",
                    error == EMFILE ? "; raise the limit of open files (LimitNOFILE= in the unit, "
                                      "or ulimit -n)"
                    : error == ENFILE ? "; raise the system's limit of open files (fs.file-max)"
                                      : "");
}

static int start_accepting(struct server *server, int socket)
{
        const struct acceptor_setup setup = {
                .loop = server->loop,
                .socket = socket,
                .admit = on_admit,
                .accepted = on_accepted,
                .failed = on_accept_failed,
                .arg = server,
        };

        return acceptor_new(&setup, &server->acceptor);
}

static void stop_accepting(struct server *server)
{
        acceptor_free(server->acceptor);
        server->acceptor = NULL;
}

/* ---- the life of a server ---- */

int server_new(const struct server_setup *setup, struct server **ret_server)
{
        struct server *server = calloc(1, sizeof *server);

        if (!server)
                return -ENOMEM;
        tls_receive_prepare();
        server->kind = setup->kind;
        server->gateway = setup->gateway;
        server->forwarder = setup->forwarder;
        server->loop = setup->loop;
        server->shared = setup->shared;
        server->listener = setup->listener;
        server->hooks = setup->hooks;
        server->policy = policy_ref(setup->policy);
        server->identity = setup->identity ? tls_identity_ref(setup->identity) : NULL;
        server->inactivity_s = inactivity_s(gateway_config(setup->gateway));
        server->inactivity_first_s = server->inactivity_s;
        server->tally = setup->tally;
        server->tally_part = tally_join(setup->tally);
        int r = server->tally_part ? connection_table_new(server, &request_connection_events,
                                                          &server->connections)
                                   : -ENOMEM;
        if (r == 0) {
                server->daemon = start_daemon(server);
                r = server->daemon ? turn_start(server) : -EIO;
        }
        if (r == 0) {
                int *socket = &setup->listener->sockets[setup->socket_index];
                r = start_accepting(server, *socket);
                if (r == 0)
                        *socket = -1;
        }
        if (r < 0) {
                server_free(server);
                return r;
        }
        *ret_server = server;
        return 0;
}

void server_reload(struct server *server, struct policy *policy, struct tls_identity *identity)
{
        struct policy *old_policy = server->policy;
        struct tls_identity *old_identity = server->identity;

        assert(!identity == !old_identity);
        server->policy = policy_ref(policy);
        server->identity = identity ? tls_identity_ref(identity) : NULL;
        server->inactivity_s = inactivity_s(gateway_config(server->gateway));
        policy_unref(old_policy);
        tls_identity_unref(old_identity);
        request_revoke_all(server);
}

void server_drain(struct server *server)
{
        if (server->draining)
                return;
        server->draining = true;
        if (server->listener->passed)
                stop_accepting(server);
}

bool server_expects(const struct server *server)
{
        return server->draining && connection_any_expected(server->connections);
}

void server_finish(struct server *server)
{
        server->finishing = true;
        hold_end_all(server);
}

bool server_close(struct server *server)
{
        server->closed = true;
        return !server->held;
}

size_t server_requests(const struct server *server)
{
        return server->requests;
}

void server_free(struct server *server)
{
        if (!server)
                return;
        stop_accepting(server);
        server->finishing = server->closed = true; /* a last request is not held */
        if (server->turn) {
                /* What was resumed must get its turn before the end. */
                pause_end(server);
                turn(server);
                turn_stop(server->turn);
        }
        if (server->connections)
                connection_table_end(server->connections);
        if (server->daemon)
                MHD_stop_daemon(server->daemon);
        connection_table_free(server->connections);
        policy_unref(server->policy);
        tls_identity_unref(server->identity);
        free(server);
}
