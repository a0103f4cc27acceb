/*
 * transfer: see transfer.h.
 */
#include "upstream/transfer.h"

#include "base/clock.h"
#include "base/loop.h"
#include "upstream/pool.h"
#include "upstream/retry_after.h"
#include "upstream/socket.h"
#include "upstream/tcp.h"
#include "upstream/transfer_private.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define CONNECT_TIMEOUT_MS 10000L
#define IDLE_MAX_S         30L     /* many servers close after 60 s, and some after 5 */
#define FRESH_BODY_BYTES   1048576 /* see needs_own_connection() */
#define UPLOAD_BUFFER_MIN  16384L  /* libcurl's own bound, and a record of TLS */
#define HEADER_BYTES_MAX   1024
#define JSON_WHITE_SPACE   " \t\r\n" /* RFC 8259, section 2 */

struct transfers {
        struct pools *pools;
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

void transfer_limit_files(int fd_max)
{
        pool_limit_files(fd_max);
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
        loop_timer_free(transfer->deadline);
        free(transfer);
}

static enum transfer_end end_of_failure(const struct transfer *transfer)
{
        return transfer->body && transfer_is_written(transfer) ? TRANSFER_UNCLEAR
                                                               : TRANSFER_NOT_SENT;
}

enum transfer_end transfer_cancel(struct transfer *transfer)
{
        enum transfer_end end = end_of_failure(transfer);

        pool_remove(transfer->pool, transfer);
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

/* Not by CURLINFO_RETRY_AFTER, which is 0 for a number that is too large. If the field is there
 * more than once, the latest time holds. */
static int64_t read_retry_after(CURL *easy)
{
        int64_t now_ms = clock_wall_ms(), latest_ms = 0;
        struct curl_header *field;

        for (size_t i = 0;
             curl_easy_header(easy, "Retry-After", i, CURLH_HEADER, -1, &field) == CURLHE_OK; i++) {
                int64_t wait_ms = retry_after_read(field->value, now_ms);
                latest_ms = wait_ms > latest_ms ? wait_ms : latest_ms;
        }
        return latest_ms;
}

static void read_answer(struct transfer *transfer, struct transfer_result *result)
{
        result->end = TRANSFER_ANSWERED;
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &result->http_code);
        result->retry_after_ms = read_retry_after(transfer->easy);
        result->body = transfer->answer.data;
        result->body_len = transfer->answer.len;
}

/* Where libcurl does not say why, as of a name look-up: whether there is a descriptor. */
static int find_shortage(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return errno == EMFILE || errno == ENFILE ? errno : 0;
        (void)close(fd);
        return 0;
}

/* What is this process's or this system's fault. */
static void describe_local(struct transfer *transfer, CURLcode code, struct transfer_result *result)
{
        bool connecting = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
                          code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT;
        int error = transfer->local_error ? transfer->local_error : find_shortage();

        if (error == 0 && (code == CURLE_OUT_OF_MEMORY || code == CURLE_FAILED_INIT))
                error = ENOMEM;
        if (!connecting || error == 0)
                return;
        const char *name = strerrorname_np(error);
        result->local = true;
        result->problem = "solvegate cannot open a connection, for want of file descriptors or "
                          "memory";
        (void)snprintf(transfer->problem, sizeof transfer->problem,
                       "cannot open a connection: %s (%s)%s", strerror(error),
                       name ? name : "unknown",
                       error == ENOMEM ? ""
                                       : "; raise the limit of open files (LimitNOFILE= in the "
                                         "unit, or ulimit -n)");
        result->detail = transfer->problem;
}

/* Not libcurl's words for what is done on purpose, and its timeout was not libcurl's. */
static void describe_end(struct transfer *transfer, CURLcode code, struct transfer_result *result)
{
        result->problem = describe_failure(code);
        result->detail = transfer->problem;
        if (transfer->premature)
                result->problem = "the upstream answered before the request was sent";
        else if (transfer->unusable)
                result->problem = "the upstream closed the connection, or wrote to it, before the "
                                  "request was sent";
        if (transfer->premature || transfer->unusable)
                result->detail = result->problem;
        else if (result->end == TRANSFER_NOT_SENT)
                describe_local(transfer, code, result);
}

/* Ends it: the transfer is gone afterwards. */
static void finish(struct transfer *transfer, CURLcode code)
{
        struct transfer_result result = {.stray = transfer->stray};
        struct pool *pool = transfer->pool;

        if (code == CURLE_OK) {
                read_answer(transfer, &result);
        } else {
                result.end = end_of_failure(transfer);
                result.timed_out = transfer->overdue && code == CURLE_OPERATION_TIMEDOUT;
                describe_end(transfer, code, &result);
        }
        pool_enter(pool);
        pool_remove(pool, transfer);
        transfer->done(&result, transfer->arg);
        transfer_free(transfer);
        if (result.distrust)
                pool_retire(pool);
        pool_leave(pool);
}

/* Once, and on a new connection, where its connection was at fault before the request was sent. */
static bool may_restart(const struct transfer *transfer)
{
        return transfer->reused && (transfer->unusable || transfer->premature) &&
               !transfer->restarted && end_of_failure(transfer) == TRANSFER_NOT_SENT;
}

/* Returns whether it goes on. */
static bool restart(struct transfer *transfer)
{
        transfer->restarted = true;
        transfer->body_read = 0;
        transfer->body_written = 0;
        transfer->unusable = false;
        transfer->premature = false;
        transfer->reused = false;
        transfer->unacknowledged = false;
        transfer->judged_code = 0;
        transfer->local_error = 0;
        transfer->socket = NULL;
        (void)curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
        return pool_restart(transfer->pool, transfer) == 0;
}

/* libcurl 8 refuses some first lines before transfer_on_header() sees them. */
static bool was_refused_early(const struct transfer *transfer, CURLcode code)
{
        return (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL) &&
               transfer->reused && (!transfer_is_written(transfer) || transfer->unacknowledged) &&
               !(transfer->socket && transfer->socket->http2);
}

/* libcurl has ended it: restarts it, or calls done and frees it. */
static void on_finished(struct transfer *transfer, CURLcode code)
{
        if (was_refused_early(transfer, code))
                transfer->premature = transfer->stray = true;
        if (code == CURLE_OK || !may_restart(transfer) || !restart(transfer))
                finish(transfer, code);
}

/* Continues with the body, if that waits. Not to be called from within libcurl. */
static void on_proceed(struct transfer *transfer)
{
        if (!transfer->paused)
                return;
        transfer->paused = false;
        (void)curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
}

/* Nothing came in time. A connection that was silent all the while is not used again. */
static void time_out(struct transfer *transfer)
{
        struct pool *pool = transfer->pool;
        bool silent = transfer->socket && tcp_silent_ms(transfer->socket->fd) >=
                                                  clock_monotonic_ms() - transfer->begun_ms;

        (void)snprintf(transfer->problem, sizeof transfer->problem,
                       "Operation timed out after %lld milliseconds with %zu bytes received%s",
                       (long long)transfer->timeout_ms, transfer->answer.len,
                       silent ? "; the connection was silent" : "");
        finish(transfer, CURLE_OPERATION_TIMEDOUT);
        if (silent)
                pool_retire_upstream(pool);
}

static struct transfer *find_overdue(struct pool *pool)
{
        struct transfer *transfer;

        DL_FOREACH (pool_transfers(pool), transfer) {
                if (transfer->overdue)
                        return transfer;
        }
        return NULL;
}

/* What has arrived is read first: the process may have been stopped beyond the deadline. */
static void on_deadline(void *arg)
{
        struct transfer *transfer = arg;
        struct pool *pool = transfer->pool;

        transfer->overdue = true;
        pool_enter(pool);
        pool_read_arrived(pool);
        while ((transfer = find_overdue(pool)))
                time_out(transfer);
        pool_leave(pool);
}

int transfers_new(struct loop *loop, struct transfers **ret_transfers)
{
        static const struct pool_events events = {.finished = on_finished, .proceed = on_proceed};
        struct transfers *transfers = calloc(1, sizeof *transfers);

        if (!transfers)
                return -ENOMEM;
        int r = pools_new(loop, &events, &transfers->pools);
        if (r < 0) {
                free(transfers);
                return r;
        }
        *ret_transfers = transfers;
        return 0;
}

void transfers_free(struct transfers *transfers)
{
        if (!transfers)
                return;
        pools_free(transfers->pools);
        free(transfers);
}

void transfers_renew(struct transfers *transfers)
{
        pools_retire(transfers->pools);
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

        /* An early refusal is read before more is written. */
        if (transfer->socket && upstream_socket_peek(transfer->socket->fd) == SOCKET_DATA) {
                transfer->paused = true;
                return CURL_READFUNC_PAUSE;
        }
        size_t n = left < room ? left : room;

        memcpy(buffer, transfer->body + transfer->body_read, n);
        transfer->body_read += n;
        return n;
}

/* libcurl calls it after each piece that it has written. Its count begins anew when it repeats the
 * request by itself, so the most that was written counts. */
static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
        struct transfer *transfer = arg;

        (void)down_total;
        (void)down;
        (void)up_total;
        if ((size_t)up > transfer->body_written)
                transfer->body_written = (size_t)up;
        return 0;
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
        /* A coding that was not asked for is decoded, but none is asked for. */
        if (r == 0)
                r = add_header(transfer, "Accept-Encoding", "");
        if (r == 0)
                (void)curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
        return r;
}

/*
 * An early refusal of a large body, by a limit of its size or of the rate, is common, and clear on
 * a new connection only; in exchange a handshake is little beside so much data.
 */
static bool needs_own_connection(const struct transfer_request *request)
{
        return request->body && request->body_len >= FRESH_BODY_BYTES;
}

/* The whole body at once, which is fastest, unless an early refusal is likely: small pieces then,
 * to look for it between them. */
static long upload_buffer_bytes(const struct transfer_request *request)
{
        if (needs_own_connection(request) || request->body_len < UPLOAD_BUFFER_MIN)
                return UPLOAD_BUFFER_MIN;
        return (long)request->body_len;
}

static void set_body(struct transfer *transfer, const struct transfer_request *request)
{
        transfer->body = request->body;
        transfer->body_len = request->body_len;
        transfer->text_len = request->body_len;
        while (transfer->text_len > 0 &&
               strchr(JSON_WHITE_SPACE, request->body[transfer->text_len - 1]))
                transfer->text_len--;
        (void)curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)request->body_len);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_NOPROGRESS, 0L);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_XFERINFODATA, transfer);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, on_body);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
        (void)curl_easy_setopt(transfer->easy, CURLOPT_UPLOAD_BUFFERSIZE,
                               upload_buffer_bytes(request));
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

static void set_connection(struct transfer *transfer, const struct transfer_request *request)
{
        CURL *easy = transfer->easy;

        (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                               request->http2 ? (long)CURL_HTTP_VERSION_2TLS
                                              : (long)CURL_HTTP_VERSION_1_1);
        (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
        (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT,
                               needs_own_connection(request) ? 1L : 0L);
        (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, transfer_on_connected);
        (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
        (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
        (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
        pool_set_socket_options(transfer->pool, transfer);
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
        (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        /* A transfer that ends during a name look-up does not wait for the look-up's thread. */
        (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
        (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem);
        (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
        (void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
        (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
        (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
        set_connection(transfer, request);
        if (request->body)
                set_body(transfer, request);
        return set_headers(transfer, request);
}

/* Within the pool that it is for. */
static int start_in(struct pool *pool, const struct transfer_request *request,
                    transfer_done_fn *done, void *arg, struct transfer **ret_transfer)
{
        struct transfer *transfer = calloc(1, sizeof *transfer);

        if (!transfer)
                return -ENOMEM;
        transfer->pool = pool;
        transfer->done = done;
        transfer->arg = arg;
        transfer->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : 1;
        strbuf_init(&transfer->answer, request->answer_max_bytes);
        int r = loop_timer_new(pool_loop(pool), on_deadline, transfer, &transfer->deadline);
        transfer->easy = r == 0 ? curl_easy_init() : NULL;
        r = transfer->easy ? set_options(transfer, request) : -ENOMEM;
        if (r == 0)
                r = pool_add(pool, transfer);
        if (r < 0) {
                transfer_free(transfer);
                return r;
        }
        loop_timer_start(transfer->deadline, transfer->timeout_ms, 0);
        *ret_transfer = transfer;
        return 0;
}

int transfer_start(struct transfers *transfers, const struct transfer_request *request,
                   transfer_done_fn *done, void *arg, struct transfer **ret_transfer)
{
        struct pool *pool =
                pools_get(transfers->pools, request->owner, request->http2, request->fresh);

        return pool ? start_in(pool, request, done, arg, ret_transfer) : -ENOMEM;
}
