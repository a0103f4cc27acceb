/*
 * transfer: one HTTP request to an upstream, by libcurl on a loop. All of libcurl is in here.
 *
 * A set of transfers belongs to one loop and shares one curl multi handle with its connections:
 * keep-alive, and HTTP/2 where a TLS server offers it. Certificates and host names are verified.
 * Redirects are not followed and proxies of the environment are not used, so the key goes nowhere
 * but to the configured host.
 *
 * A request body is sent at most once. libcurl repeats a request by itself when a kept connection
 * turns out to be closed (RFC 9110, 9.2.2 lets it do so only for idempotent methods; libcurl does
 * it for POST too). Here it cannot: a body is given by a callback that cannot be rewound, and a
 * second try is cut off before its first byte once a byte of the body was handed out.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_UPSTREAM_TRANSFER_H
#define SOLVEGATE_UPSTREAM_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

struct loop;
struct transfer;
struct transfers;

/* Once in the life of the process, before any thread is started. Returns 0 or -EIO. */
int transfer_global_init(void);
void transfer_global_done(void);

int transfers_new(struct loop *loop, struct transfers **ret_transfers);

/* Frees. Requires that no transfer is under way. Takes NULL. */
void transfers_free(struct transfers *transfers);

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
        int64_t timeout_ms; /* for all of it, > 0 */
};

/* How a transfer ended. */
enum transfer_end {
        TRANSFER_ANSWERED, /* a whole HTTP answer */
        TRANSFER_NOT_SENT, /* no byte of the body left: no connection, TLS failure, … */
        TRANSFER_UNCLEAR,  /* broken off after that */
};

struct transfer_result {
        enum transfer_end end;
        long http_code;   /* ANSWERED */
        const char *body; /* ANSWERED; valid during the callback; NULL when empty */
        size_t body_len;
        int64_t retry_after_ms; /* ANSWERED; the Retry-After field (RFC 9110, 10.2.3), or 0 */
        const char *problem;    /* otherwise: in a word, for clients; static text */
        const char *detail;     /* otherwise: with addresses, for the log; valid in the callback */
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
