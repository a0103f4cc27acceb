/*
 * transfer: see transfer.h. The multi handle's socket interface (libcurl-multi(3), "multi_socket")
 * is mapped to libuv polls and one timer.
 */
#include "upstream/transfer.h"

#include "base/loop.h"
#include "base/strbuf.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CONNECT_TIMEOUT_MS   10000L
#define IDLE_CONNECTIONS_MAX 256L
#define UPLOAD_BUFFER_MIN    16384L /* libcurl's own bounds */
#define UPLOAD_BUFFER_MAX    2097152L
#define RETRY_AFTER_MAX_S    3600
#define HEADER_BYTES_MAX     1024

struct transfers {
        struct loop *loop;
        CURLM *multi;
        struct loop_timer *timer;
        int running;
};

/* One socket of libcurl's, watched on the loop. */
struct watch {
        uv_poll_t poll;
        curl_socket_t socket;
        struct transfers *transfers;
};

struct transfer {
        struct transfers *transfers;
        CURL *easy;
        struct curl_slist *headers;
        const char *body;
        size_t body_len;
        size_t body_read; /* handed to libcurl */
        struct strbuf answer;
        transfer_done_fn *done;
        void *arg;
        char problem[CURL_ERROR_SIZE];
};

/*
 * libcurl's memory. The key passes through its buffers and its copies of the headers, so what it
 * frees is wiped first.
 */
static void wiping_free(void *memory)
{
        if (memory)
                explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
}

static void *wiping_realloc(void *memory, size_t size)
{
        void *larger = malloc(size);

        if (larger && memory) {
                size_t old = malloc_usable_size(memory);
                memcpy(larger, memory, old < size ? old : size);
                wiping_free(memory);
        }
        return larger;
}

int transfer_global_init(void)
{
        return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
                                    strdup, calloc) == CURLE_OK
                       ? 0
                       : -EIO;
}

void transfer_global_done(void)
{
        curl_global_cleanup();
}

static void transfer_free(struct transfer *transfer)
{
        if (transfer->easy)
                curl_easy_cleanup(transfer->easy);
        curl_slist_free_all(transfer->headers);
        strbuf_done(&transfer->answer);
        free(transfer);
}

/* The body tells: without a byte of the images there is nothing to charge for. */
static enum transfer_end end_of_failure(const struct transfer *transfer)
{
        return transfer->body_read == 0 ? TRANSFER_NOT_SENT : TRANSFER_UNCLEAR;
}

enum transfer_end transfer_cancel(struct transfer *transfer)
{
        enum transfer_end end = end_of_failure(transfer);

        (void)curl_multi_remove_handle(transfer->transfers->multi, transfer->easy);
        transfer_free(transfer);
        return end;
}

/* In a word, for clients. libcurl's texts for its own, prevented repetition would puzzle them. */
static const char *describe_failure(CURLcode code)
{
        if (code == CURLE_SEND_FAIL_REWIND || code == CURLE_ABORTED_BY_CALLBACK)
                return "the connection broke off";
        return curl_easy_strerror(code);
}

static void read_answer(struct transfer *transfer, struct transfer_result *result)
{
        curl_off_t retry_after_s = 0;

        result->end = TRANSFER_ANSWERED;
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &result->http_code);
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
        if (retry_after_s > RETRY_AFTER_MAX_S)
                retry_after_s = RETRY_AFTER_MAX_S;
        result->retry_after_ms = (int64_t)retry_after_s * 1000;
        result->body = transfer->answer.data;
        result->body_len = transfer->answer.len;
}

static void transfer_finish(struct transfer *transfer, CURLcode code)
{
        struct transfer_result result = {0};

        if (code == CURLE_OK) {
                read_answer(transfer, &result);
        } else {
                result.end = end_of_failure(transfer);
                result.problem = describe_failure(code);
                result.detail = transfer->problem;
        }
        (void)curl_multi_remove_handle(transfer->transfers->multi, transfer->easy);
        transfer->done(&result, transfer->arg);
        transfer_free(transfer);
}

static void collect_finished(struct transfers *transfers)
{
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(transfers->multi, &left))) {
                char *private = NULL;
                if (message->msg != CURLMSG_DONE)
                        continue;
                CURLcode code = message->data.result;
                (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
                transfer_finish((struct transfer *)(void *)private, code);
        }
}

static void on_watch_ready(uv_poll_t *poll, int status, int events)
{
        struct watch *watch = poll->data;
        /* The watch may be closed within the call. */
        struct transfers *transfers = watch->transfers;
        int action = 0;

        if (status < 0)
                action = CURL_CSELECT_ERR;
        if (events & UV_READABLE)
                action |= CURL_CSELECT_IN;
        if (events & UV_WRITABLE)
                action |= CURL_CSELECT_OUT;
        (void)curl_multi_socket_action(transfers->multi, watch->socket, action,
                                       &transfers->running);
        collect_finished(transfers);
}

static void on_watch_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static struct watch *watch_new(struct transfers *transfers, curl_socket_t socket)
{
        struct watch *watch = calloc(1, sizeof *watch);

        if (!watch)
                return NULL;
        watch->poll.data = watch;
        watch->socket = socket;
        watch->transfers = transfers;
        if (uv_poll_init_socket(loop_uv(transfers->loop), &watch->poll, socket) < 0) {
                free(watch);
                return NULL;
        }
        (void)curl_multi_assign(transfers->multi, socket, watch);
        return watch;
}

static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg)
{
        struct transfers *transfers = arg;
        struct watch *watch = socket_arg;

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (watch) {
                        (void)uv_poll_stop(&watch->poll);
                        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
                        (void)curl_multi_assign(transfers->multi, socket, NULL);
                }
                return 0;
        }
        if (!watch)
                watch = watch_new(transfers, socket);
        if (!watch)
                return -1;
        int events = what == CURL_POLL_IN    ? UV_READABLE
                     : what == CURL_POLL_OUT ? UV_WRITABLE
                                             : UV_READABLE | UV_WRITABLE;
        return uv_poll_start(&watch->poll, events, on_watch_ready) < 0 ? -1 : 0;
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
        struct transfers *transfers = arg;

        (void)multi;
        if (timeout_ms < 0)
                loop_timer_stop(transfers->timer);
        else
                loop_timer_start(transfers->timer, timeout_ms, 0);
        return 0;
}

static void on_timer(void *arg)
{
        struct transfers *transfers = arg;

        (void)curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0,
                                       &transfers->running);
        collect_finished(transfers);
}

int transfers_new(struct loop *loop, struct transfers **ret_transfers)
{
        struct transfers *transfers = calloc(1, sizeof *transfers);

        if (!transfers)
                return -ENOMEM;
        transfers->loop = loop;
        transfers->multi = curl_multi_init();
        if (!transfers->multi || loop_timer_new(loop, on_timer, transfers, &transfers->timer) < 0) {
                transfers_free(transfers);
                return -ENOMEM;
        }
        (void)curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        (void)curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
        (void)curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        (void)curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
        (void)curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
        *ret_transfers = transfers;
        return 0;
}

void transfers_free(struct transfers *transfers)
{
        if (!transfers)
                return;
        if (transfers->multi)
                (void)curl_multi_cleanup(transfers->multi);
        loop_timer_free(transfers->timer);
        free(transfers);
}

static size_t on_answer(char *bytes, size_t size, size_t count, void *arg)
{
        struct transfer *transfer = arg;

        /* Another number than was given makes libcurl end the transfer. */
        return strbuf_append(&transfer->answer, bytes, size * count) < 0 ? 0 : size * count;
}

static size_t on_body(char *buffer, size_t size, size_t count, void *arg)
{
        struct transfer *transfer = arg;
        size_t left = transfer->body_len - transfer->body_read, room = size * count;
        size_t n = left < room ? left : room;

        memcpy(buffer, transfer->body + transfer->body_read, n);
        transfer->body_read += n;
        return n;
}

/* Called with a connection made, before the first byte of the request. */
static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
        struct transfer *transfer = arg;

        (void)remote_ip;
        (void)local_ip;
        (void)remote_port;
        (void)local_port;
        return transfer->body_read == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static int add_header(struct transfer *transfer, const char *name, const char *value)
{
        char line[HEADER_BYTES_MAX];

        /* "Name:" alone makes libcurl leave out a header of its own. */
        int len = snprintf(line, sizeof line, "%s:%s%s", name, *value ? " " : "", value);
        if (len < 0 || (size_t)len >= sizeof line)
                return -EMSGSIZE;
        struct curl_slist *more = curl_slist_append(transfer->headers, line);
        explicit_bzero(line, sizeof line);
        if (!more)
                return -ENOMEM;
        transfer->headers = more;
        return 0;
}

static int set_headers(struct transfer *transfer, const struct transfer_request *request)
{
        int r = 0;

        for (const struct transfer_header *header = request->headers; r == 0 && header->name;
             header++)
                r = add_header(transfer, header->name, header->value);
        /* The body is sent at once: waiting for a 100 would cost a round trip. */
        if (r == 0)
                r = add_header(transfer, "Expect", "");
        if (r == 0)
                (void)curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
        return r;
}

static void set_body(struct transfer *transfer, const struct transfer_request *request)
{
        long buffer = (long)request->body_len;

        if (buffer < UPLOAD_BUFFER_MIN)
                buffer = UPLOAD_BUFFER_MIN;
        if (buffer > UPLOAD_BUFFER_MAX)
                buffer = UPLOAD_BUFFER_MAX;
        transfer->body = request->body;
        transfer->body_len = request->body_len;
        (void)curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)request->body_len);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, on_body);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_PREREQFUNCTION, on_connected);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_PREREQDATA, transfer);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_UPLOAD_BUFFERSIZE, buffer);
}

/* Not by a file: of that libcurl would keep for a day what was in it, and its connections for as
 * long as they last. It compares what it is given here; in exchange it reads the certificates for
 * each new connection. */
static int set_ca(CURL *easy, const struct transfer_request *request)
{
        struct curl_blob blob = {
                .data = (void *)(uintptr_t)request->ca, /* it is read only */
                .len = request->ca_len,
                .flags = CURL_BLOB_NOCOPY,
        };

        /* Else the system's certificates would be trusted besides. */
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        return curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK ? 0 : -ENOMEM;
}

static int set_options(struct transfer *transfer, const struct transfer_request *request)
{
        CURL *easy = transfer->easy;

        if (curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK)
                return -ENOMEM;
        if (request->ca && set_ca(easy, request) < 0)
                return -ENOMEM;
        (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
        (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
        (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        /* A transfer that ends during a name look-up does not wait for the look-up's thread. */
        (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
        (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
        (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem);
        (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
        (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
        (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
        if (request->body)
                set_body(transfer, request);
        return set_headers(transfer, request);
}

int transfer_start(struct transfers *transfers, const struct transfer_request *request,
                   transfer_done_fn *done, void *arg, struct transfer **ret_transfer)
{
        assert(request->timeout_ms > 0);
        struct transfer *transfer = calloc(1, sizeof *transfer);
        if (!transfer)
                return -ENOMEM;
        transfer->transfers = transfers;
        transfer->done = done;
        transfer->arg = arg;
        strbuf_init(&transfer->answer, request->answer_max_bytes);
        transfer->easy = curl_easy_init();
        int r = transfer->easy ? set_options(transfer, request) : -ENOMEM;
        if (r == 0 && curl_multi_add_handle(transfers->multi, transfer->easy) != CURLM_OK)
                r = -ENOMEM;
        if (r < 0) {
                transfer_free(transfer);
                return r;
        }
        *ret_transfer = transfer;
        return 0;
}
