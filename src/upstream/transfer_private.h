/*
 * transfer_private: what transfer.c, transfer_connection.c and pool.c share; no other file includes
 * it.
 */
#ifndef SOLVEGATE_UPSTREAM_TRANSFER_PRIVATE_H
#define SOLVEGATE_UPSTREAM_TRANSFER_PRIVATE_H

#include "base/strbuf.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop_timer;
struct pool;
struct transfer_result;
struct upstream_socket;

struct transfer {
        struct pool *pool;
        CURL *easy;
        struct curl_slist *headers;
        const char *body;
        size_t body_len;
        size_t text_len;     /* of the body without the white space at its end */
        size_t body_read;    /* handed to libcurl */
        size_t body_written; /* to the connection, by libcurl; the most of all its attempts */
        struct strbuf answer;
        struct loop_timer *deadline;
        int64_t timeout_ms;
        bool overdue;                                            /* the deadline has passed */
        void (*done)(struct transfer_result *result, void *arg); /* transfer_done_fn */
        void *arg;
        char problem[CURL_ERROR_SIZE];
        int local_error; /* a positive errno: why no socket could be opened, or 0 */

        /* ---- of the connection that carries it ---- */
        struct upstream_socket *socket; /* NULL before it has one, and once that is closed */
        int64_t begun_ms;               /* when its first byte was about to be written there */
        uint64_t acknowledged;          /* bytes, by the peer's host, until then */
        bool reused;                    /* it carried a request before */
        bool paused;                    /* the body waits until what has arrived is read */
        bool unusable;                  /* it had something to read before the first byte */
        bool premature;                 /* a response began on it before the request was sent */
        long judged_code;               /* of the response whose beginning was examined, or 0 */
        bool unacknowledged; /* the connection was closed before the peer's host had all of it */
        bool stray;          /* bytes arrived that belong to no request; stays over a restart */
        bool restarted;
        struct transfer *prev, *next; /* in the pool */
};

/* ---- transfer_connection.c ---- */

/*
 * Whether all of the body was written to the connection, as far as it says something. Of a body
 * that was not, the peer has no more than a part, which is not a job. Over TLS, libcurl counts a
 * piece once its last record was written.
 */
bool transfer_is_written(const struct transfer *transfer);

/* For CURLOPT_PREREQFUNCTION and CURLOPT_HEADERFUNCTION, with the transfer as arg. */
int transfer_on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port,
                          int local_port);
size_t transfer_on_header(char *line, size_t size, size_t count, void *arg);

#endif
