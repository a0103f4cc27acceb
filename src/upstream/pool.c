/*
 * pool: see pool.h. The multi handle's socket interface (libcurl-multi(3), "multi_socket") is
 * mapped to libuv polls and one timer.
 */
#include "upstream/pool.h"

#include "base/clock.h"
#include "base/loop.h"
#include "upstream/send.h"
#include "upstream/socket.h"
#include "upstream/tcp.h"
#include "upstream/transfer_private.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define IDLE_CONNECTIONS_MAX 256L
#define POOL_AGE_MAX_MS      120000 /* no connection, and no address from DNS, is used longer */
#define SILENCE_MAX_MS                                                                             \
        5000                  /* a shared connection that owes a response for so long gets no      \
                                 further request */
#define USER_TIMEOUT_MS 30000 /* bytes that the peer's host does not acknowledge */
#define UNWATCHED_MS    50    /* between two looks at sockets that cannot be watched */
#define READ_ROUNDS     3     /* HTTP/2 hands on in the second what was read in the first */

struct pools {
        struct loop *loop;
        const struct pool_events *events;
        struct pool *items; /* retired ones as well, as long as they have transfers */
};

struct pool {
        struct pools *pools;
        const void *owner;
        bool http2;
        bool retired;
        int64_t opened_ms;
        CURLM *multi;
        struct loop_timer *timer;
        bool unwatched; /* a socket could not be watched: all transfers are run by the timer */
        bool stray;     /* pool_take_stray() */
        struct upstream_socket *sockets;
        struct transfer *transfers;
        unsigned entered; /* pool_enter() without pool_leave() */
        struct pool *prev, *next;
};

struct loop *pool_loop(const struct pool *pool)
{
        return pool->pools->loop;
}

/* ---- libcurl's events ---- */

static void collect_finished(struct pool *pool)
{
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(pool->multi, &left))) {
                char *private = NULL;
                if (message->msg != CURLMSG_DONE)
                        continue;
                CURLcode code = message->data.result;
                (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
                pool->pools->events->finished((struct transfer *)(void *)private, code);
        }
}

/* What had arrived was read, and was no refusal. curl_easy_pause() acts in the next turn. */
static void continue_paused(struct pool *pool)
{
        struct transfer *transfer;

        DL_FOREACH (pool->transfers, transfer)
                pool->pools->events->proceed(transfer);
}

/*
 * Without memory, or without a free watch of the kernel's, a socket is not watched, and what is on
 * it may have been charged already. So all transfers are run at intervals, until none is left.
 */
static void run_unwatched(struct pool *pool)
{
        int running;

        send_begin();
        (void)curl_multi_perform(pool->multi, &running);
        send_end();
        collect_finished(pool);
        pool->unwatched = pool->transfers != NULL;
        if (pool->unwatched)
                loop_timer_start(pool->timer, UNWATCHED_MS, 0);
}

static void run(struct pool *pool, curl_socket_t fd, int action)
{
        int running;

        pool_enter(pool);
        send_begin();
        /* An error is one of memory: libcurl has not told what it waits for. */
        if (curl_multi_socket_action(pool->multi, fd, action, &running) != CURLM_OK)
                pool->unwatched = true;
        send_end();
        collect_finished(pool);
        continue_paused(pool);
        if (pool->unwatched)
                run_unwatched(pool);
        pool_leave(pool);
}

static void on_timer(void *arg)
{
        run(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
        struct pool *pool = arg;

        (void)multi;
        if (pool->unwatched && (timeout_ms < 0 || timeout_ms > UNWATCHED_MS))
                timeout_ms = UNWATCHED_MS;
        if (timeout_ms < 0)
                loop_timer_stop(pool->timer);
        else
                loop_timer_start(pool->timer, timeout_ms, 0);
        return 0;
}

static bool has_transfer(const struct pool *pool, const struct upstream_socket *socket)
{
        const struct transfer *transfer;

        DL_FOREACH (pool->transfers, transfer) {
                if (transfer->socket == socket)
                        return true;
        }
        return false;
}

/*
 * Within TLS, the notice that a connection is closed is data as well. libcurl waits for nothing on
 * a connection that it is about to close, so one can be idle in the middle of its response.
 */
static void note_stray(struct pool *pool, const struct upstream_socket *socket)
{
        if (socket->idle && !has_transfer(pool, socket) && socket->requests > 0 && !socket->http2 &&
            !socket->tls && upstream_socket_peek(socket->fd) == SOCKET_DATA)
                pool->stray = true;
}

bool pool_take_stray(struct pool *pool)
{
        bool stray = pool->stray;

        pool->stray = false;
        return stray;
}

/*
 * On an idle connection nothing is expected. Whatever comes, a response that was not asked for or
 * the end of the stream, the connection carries no further request: it is shut down, so that
 * libcurl finds it dead and the peer can drop it.
 */
static void shut_down_idle(struct upstream_socket *socket)
{
        note_stray(socket->pool, socket);
        upstream_socket_ignore(socket);
        (void)shutdown(socket->fd, SHUT_RDWR);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
        struct upstream_socket *socket = poll->data;
        /* The socket may be freed within the call. */
        struct pool *pool = socket->pool;
        int action = 0;

        if (status < 0)
                socket->events = 0; /* libuv has stopped it */
        if (socket->idle) {
                shut_down_idle(socket);
                return;
        }
        if (events & UV_READABLE)
                action |= CURL_CSELECT_IN;
        if (events & UV_WRITABLE)
                action |= CURL_CSELECT_OUT;
        /* An error of the socket may follow a whole response, which is read first: by
         * CURL_CSELECT_ERR libcurl would not. What it then does by itself finds the error. */
        if (status < 0)
                action = CURL_CSELECT_IN | CURL_CSELECT_OUT;
        run(pool, socket->fd, action);
}

static struct upstream_socket *find_socket(const struct pool *pool, int fd)
{
        struct upstream_socket *socket;

        HASH_FIND(by_fd, pool->sockets, &fd, sizeof fd, socket);
        return socket;
}

static void drop_socket(struct pool *pool, struct upstream_socket *socket)
{
        struct transfer *transfer;

        DL_FOREACH (pool->transfers, transfer) {
                if (transfer->socket != socket)
                        continue;
                transfer->unacknowledged = !tcp_all_acknowledged(socket->fd);
                transfer->socket = NULL;
        }
        HASH_DELETE(by_fd, pool->sockets, socket);
        upstream_socket_free(socket);
}

static struct upstream_socket *add_socket(struct pool *pool, int fd)
{
        struct upstream_socket *socket = upstream_socket_new(pool, fd);
        struct upstream_socket *before = find_socket(pool, fd);
        int events = before ? before->events : 0;

        if (!socket)
                return NULL;
        if (before) /* closed without a word, see socket.h */
                drop_socket(pool, before);
        HASH_ADD(by_fd, pool->sockets, fd, sizeof socket->fd, socket);
        if (!socket->by_fd.tbl) { /* no memory (HASH_NONFATAL_OOM) */
                upstream_socket_free(socket);
                return NULL;
        }
        /* What libcurl waits for by this number goes on; it does not ask again. */
        if (events != 0)
                (void)upstream_socket_watch(socket, pool->pools->loop, events, on_ready);
        return socket;
}

/* HTTP/2 has much to say on an idle connection; libcurl reads it before the next request. */
static void watch_idle(struct upstream_socket *socket)
{
        socket->idle = true;
        if (socket->http2)
                upstream_socket_ignore(socket);
        else
                (void)upstream_socket_watch(socket, socket->pool->pools->loop, UV_READABLE,
                                            on_ready);
}

/* Never returns an error: libcurl 7.88 would end every transfer of the multi handle for it. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
        struct pool *pool = arg;
        struct upstream_socket *socket = find_socket(pool, fd);

        (void)easy;
        (void)socket_arg;
        if (what == CURL_POLL_REMOVE) {
                if (socket && socket->requests > 0)
                        watch_idle(socket);
                else if (socket) /* it may be closed already, see socket.h */
                        drop_socket(pool, socket);
                return 0;
        }
        if (!socket)
                socket = add_socket(pool, fd);
        if (socket)
                socket->idle = false;
        int events = what == CURL_POLL_IN    ? UV_READABLE
                     : what == CURL_POLL_OUT ? UV_WRITABLE
                                             : UV_READABLE | UV_WRITABLE;
        if (!socket || upstream_socket_watch(socket, pool->pools->loop, events, on_ready) < 0)
                pool->unwatched = true;
        return 0;
}

/* ---- sockets ---- */

static atomic_int files_max = INT_MAX;

void pool_limit_files(int fd_max)
{
        atomic_store(&files_max, fd_max);
}

/* Returns a descriptor, or -errno. The kernel gives the lowest that is free, so a high one says how
 * many are in use. */
static int open_socket(const struct curl_sockaddr *address)
{
        unsigned timeout_ms = USER_TIMEOUT_MS;
        int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                        address->protocol);

        if (fd < 0)
                return -errno;
        if (fd >= atomic_load(&files_max)) {
                (void)close(fd);
                return -EMFILE;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
        return fd;
}

static bool is_local(int error)
{
        return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct transfer *transfer = arg;
        int fd = open_socket(address);

        (void)purpose;
        if (fd >= 0 && !add_socket(transfer->pool, fd)) {
                (void)close(fd);
                fd = -ENOMEM;
        }
        if (fd >= 0)
                return fd;
        if (is_local(-fd))
                transfer->local_error = -fd;
        return CURL_SOCKET_BAD;
}

static int on_close_socket(void *arg, curl_socket_t fd)
{
        struct pool *pool = arg;
        struct upstream_socket *socket = find_socket(pool, fd);

        if (socket) {
                note_stray(pool, socket);
                drop_socket(pool, socket);
        }
        return close(fd);
}

void pool_set_socket_options(struct pool *pool, struct transfer *transfer)
{
        CURL *easy = transfer->easy;

        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
        (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
        (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, pool);
}

struct upstream_socket *pool_socket(struct pool *pool, const char *remote_ip, int remote_port,
                                    const char *local_ip, int local_port)
{
        struct upstream_socket *socket, *next;

        HASH_ITER (by_fd, pool->sockets, socket, next) {
                if (upstream_socket_is(socket, remote_ip, remote_port, local_ip, local_port))
                        return socket;
        }
        return NULL;
}

/* ---- transfers ---- */

static void pool_free(struct pool *pool)
{
        struct upstream_socket *socket, *next;

        assert(!pool->transfers);
        DL_DELETE(pool->pools->items, pool);
        if (pool->multi)
                (void)curl_multi_cleanup(pool->multi); /* closes the connections */
        HASH_ITER (by_fd, pool->sockets, socket, next)
                drop_socket(pool, socket);
        loop_timer_free(pool->timer);
        free(pool);
}

void pool_enter(struct pool *pool)
{
        pool->entered++;
}

static void free_if_over(struct pool *pool)
{
        if (pool->retired && !pool->transfers && pool->entered == 0)
                pool_free(pool);
}

void pool_leave(struct pool *pool)
{
        assert(pool->entered > 0);
        pool->entered--;
        free_if_over(pool);
}

int pool_add(struct pool *pool, struct transfer *transfer)
{
        if (curl_multi_add_handle(pool->multi, transfer->easy) != CURLM_OK)
                return -ENOMEM;
        DL_APPEND(pool->transfers, transfer);
        return 0;
}

void pool_remove(struct pool *pool, struct transfer *transfer)
{
        (void)curl_multi_remove_handle(pool->multi, transfer->easy);
        DL_DELETE(pool->transfers, transfer);
        free_if_over(pool);
}

int pool_restart(struct pool *pool, struct transfer *transfer)
{
        (void)curl_multi_remove_handle(pool->multi, transfer->easy);
        return curl_multi_add_handle(pool->multi, transfer->easy) == CURLM_OK ? 0 : -ENOMEM;
}

struct transfer *pool_transfers(struct pool *pool)
{
        return pool->transfers;
}

/* Idle connections are shut down, since a retired pool may have transfers for a long time. libcurl
 * closes the others as their transfers end. */
static void give_up_connections(struct pool *pool)
{
        struct upstream_socket *socket, *next;
        struct transfer *transfer;

        DL_FOREACH (pool->transfers, transfer)
                (void)curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
        HASH_ITER (by_fd, pool->sockets, socket, next) {
                if (socket->idle)
                        shut_down_idle(socket);
        }
}

void pool_retire(struct pool *pool)
{
        pool->retired = true;
        give_up_connections(pool);
        free_if_over(pool);
}

static bool has_input(const struct upstream_socket *socket)
{
        struct pollfd poll_fd = {.fd = socket->fd, .events = POLLIN};

        return socket->events != 0 && !socket->idle && poll(&poll_fd, 1, 0) > 0;
}

/* The next descriptor above this one that has something to read, or -1: libcurl may open and close
 * sockets between two calls. */
static int next_readable(const struct pool *pool, int above)
{
        const struct upstream_socket *socket, *next;
        int best = -1;

        HASH_ITER (by_fd, pool->sockets, socket, next) {
                if (socket->fd > above && (best < 0 || socket->fd < best) && has_input(socket))
                        best = socket->fd;
        }
        return best;
}

void pool_read_arrived(struct pool *pool)
{
        for (int round = 0; round < READ_ROUNDS; round++) {
                for (int fd = next_readable(pool, -1); fd >= 0; fd = next_readable(pool, fd))
                        run(pool, fd, CURL_CSELECT_IN);
                run(pool, CURL_SOCKET_TIMEOUT, 0);
        }
}

/* ---- pools ---- */

int pools_new(struct loop *loop, const struct pool_events *events, struct pools **ret_pools)
{
        struct pools *pools = calloc(1, sizeof *pools);

        if (!pools)
                return -ENOMEM;
        pools->loop = loop;
        pools->events = events;
        *ret_pools = pools;
        return 0;
}

void pools_free(struct pools *pools)
{
        if (!pools)
                return;
        pools_retire(pools);
        assert(!pools->items);
        free(pools);
}

void pools_retire(struct pools *pools)
{
        struct pool *pool, *next;

        DL_FOREACH_SAFE (pools->items, pool, next)
                pool_retire(pool);
}

static struct pool *pool_new(struct pools *pools, const void *owner, bool http2)
{
        struct pool *pool = calloc(1, sizeof *pool);

        if (!pool)
                return NULL;
        pool->pools = pools;
        pool->owner = owner;
        pool->http2 = http2;
        pool->opened_ms = clock_monotonic_ms();
        DL_APPEND(pools->items, pool);
        pool->multi = curl_multi_init();
        if (!pool->multi || loop_timer_new(pools->loop, on_timer, pool, &pool->timer) < 0) {
                pool_free(pool);
                return NULL;
        }
        (void)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        (void)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
        (void)curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        (void)curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
        (void)curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
        return pool;
}

/*
 * Whether a connection owes a response, and has been silent since. A load balancer whose backend
 * hangs acknowledges everything and answers nothing, on every connection that it has already.
 */
static bool is_stalled(const struct pool *pool, int64_t now_ms)
{
        const struct transfer *transfer;

        DL_FOREACH (pool->transfers, transfer) {
                int64_t waited_ms = now_ms - transfer->begun_ms;
                if (transfer->socket && waited_ms > SILENCE_MAX_MS &&
                    tcp_silent_ms(transfer->socket->fd) >= waited_ms)
                        return true;
        }
        return false;
}

void pool_retire_upstream(struct pool *pool)
{
        struct pools *pools = pool->pools;
        const void *owner = pool->owner;
        struct pool *each, *next;

        DL_FOREACH_SAFE (pools->items, each, next) {
                if (each->owner == owner)
                        pool_retire(each);
        }
}

struct pool *pools_get(struct pools *pools, const void *owner, bool http2, bool fresh)
{
        int64_t now_ms = clock_monotonic_ms();
        struct pool *pool;

        DL_FOREACH (pools->items, pool) {
                if (pool->owner == owner && pool->http2 == http2 && !pool->retired)
                        break;
        }
        if (pool && is_stalled(pool, now_ms)) {
                pool_retire_upstream(pool);
                pool = NULL;
        } else if (pool && (fresh || now_ms - pool->opened_ms > POOL_AGE_MAX_MS)) {
                pool_retire(pool);
                pool = NULL;
        }
        return pool ? pool : pool_new(pools, owner, http2);
}
