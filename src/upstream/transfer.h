/*
 * transfer: one HTTP request to an upstream, by libcurl on a loop. All of libcurl is in here, in
 * pool, and in socket.
 *
 * A set of transfers belongs to one loop. It has a pool of kept connections for each upstream and
 * protocol. Certificates and host names are verified. Redirects are not followed and proxies of the
 * environment are not used, so the key goes nowhere but to the configured host.
 *
 * A request body is sent whole at most once. libcurl repeats a request by itself when a kept
 * connection turns out to be closed (RFC 9110, 9.2.2 lets it do so only for idempotent methods;
 * libcurl does it for POST too). Here it cannot: a body is given by a callback that cannot be
 * rewound, and a second attempt is cut off before its first byte once a byte of the body was handed
 * out. A body of which libcurl could not write the end is not a job: it counts as not sent.
 *
 * A response belongs to its request. HTTP/1.1 tells them apart by their order alone (RFC 9112,
 * section 9.3.2), so a surplus response on a kept connection would be taken for the next one. A
 * connection that was used before and has something to read is given up before the first byte; so
 * is one on which a response begins before the request was written, or before the peer's host has
 * acknowledged it (of a refusal: the beginning of it). The request is then made again, once, on a
 * new connection, unless its body was written whole.
 *
 * A response that has arrived counts, whatever comes after it: the end of the connection, an error
 * of the socket, or the deadline of a process that was stopped meanwhile.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_UPSTREAM_TRANSFER_H
#define SOLVEGATE_UPSTREAM_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct transfer;
struct transfers;

/* Once in the life of the process, before any thread is started. Returns 0 or -EIO. */
int transfer_global_init(void);

/* Connections of all sets get descriptors below fd_max only, at first INT_MAX: the others are for
 * other uses. Thread: any. */
void transfer_limit_files(int fd_max);
void transfer_global_done(void);

int transfers_new(struct loop *loop, struct transfers **ret_transfers);

/* Frees. Requires that no transfer is in progress. Takes NULL. */
void transfers_free(struct transfers *transfers);

/* From now on, requests are made on new connections, after a new name look-up. Those in progress go
 * on as they are. */
void transfers_renew(struct transfers *transfers);

struct transfer_header {
        const char *name;
        const char *value; /* may be secret: libcurl's memory is wiped before it is freed */
};

struct transfer_request {
        const char *url; /* copied */
        const char *ca;  /* trusted certificates in PEM, or NULL. Must outlive the transfer */
        size_t ca_len;
        const struct transfer_header *headers; /* up to a NULL name; copied */
        const char *body;                      /* NULL: a GET. Must outlive the transfer */
        size_t body_len;
        size_t answer_max_bytes;
        int64_t timeout_ms; /* for all of it; less than 1 counts as 1 */
        const void *owner;  /* whose kept connections are used; compared only */
        bool http2;         /* HTTP/2 is offered to a TLS server; otherwise HTTP/1.1 alone */
        bool fresh;         /* on a new connection, after a new name look-up, which the owner's
                               later requests of this protocol share */
};

/* How a transfer ended. */
enum transfer_end {
        TRANSFER_ANSWERED, /* a whole HTTP answer */
        TRANSFER_NOT_SENT, /* the body was not written whole: no connection, TLS failure, … */
        TRANSFER_UNCLEAR,  /* broken off after that, or a response that began too early */
};

struct transfer_result {
        enum transfer_end end;
        long http_code;   /* ANSWERED */
        const char *body; /* ANSWERED; valid during the callback; NULL when empty */
        size_t body_len;
        int64_t retry_after_ms; /* ANSWERED; the Retry-After field (RFC 9110, 10.2.3), or 0 */
        const char *problem;    /* otherwise: in a word, for clients; static text */
        const char *detail;     /* otherwise: with addresses, for the log; valid in the callback */
        bool local;     /* NOT_SENT: for want of a file descriptor or memory of this system; it
                           says nothing about the upstream */
        bool timed_out; /* otherwise: the request's timeout_ms passed */
        bool stray;     /* data that belonged to no request was ignored on the way */
        bool distrust;  /* set by the callback: it was not an answer to this request, so
                           that the connection is not to be used again */
};

typedef void transfer_done_fn(struct transfer_result *result, void *arg);

/*
 * Starts. done(…, arg) is called later, exactly once, unless the transfer is cancelled; the
 * transfer is gone when it returns. Returns 0, -ENOMEM, or -EMSGSIZE for a header that is too long;
 * then done is not called.
 */
int transfer_start(struct transfers *transfers, const struct transfer_request *request,
                   transfer_done_fn *done, void *arg, struct transfer **ret_transfer);

/* Breaks off without calling done. Returns NOT_SENT or UNCLEAR. */
enum transfer_end transfer_cancel(struct transfer *transfer);

#endif
