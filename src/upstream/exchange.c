/*
 * exchange: see exchange.h.
 */
#include "upstream/exchange.h"

#include "base/clock.h"
#include "base/instance.h"
#include "base/strbuf.h"
#include "config/credential.h"
#include "upstream/account.h"
#include "upstream/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_AGENT "solvegate/" SOLVEGATE_VERSION

struct exchange {
        struct account *account;
        struct account_terms *terms; /* a reference */
        struct account_terms *sent;  /* a reference, or NULL */
        enum upstream_endpoint endpoint;
        const char *upstream_id; /* UPSTREAM_STATUS; else NULL */
        struct transfer *transfer;
        exchange_done_fn *done;
        void *arg;
};

static void read_answered(const struct exchange *exchange, const struct transfer_result *result,
                          struct answer *ret_answer)
{
        struct protocol_request request = {
                .endpoint = exchange->endpoint,
                .upstream_id = exchange->upstream_id,
                .credential = exchange->terms->credential,
                .other = exchange->sent ? exchange->sent->credential : NULL,
                .wall_ms = clock_wall_ms(),
        };

        protocol_read(&request, result->http_code, result->body ? result->body : "",
                      result->body_len, ret_answer);
        /* Of the header and the body the later one holds. */
        if (!ret_answer->foreign && result->retry_after_ms > ret_answer->retry_after_ms)
                ret_answer->retry_after_ms = result->retry_after_ms;
}

/* libcurl's words may quote what an upstream sent. */
static void copy_detail(const struct exchange *exchange, const struct transfer_result *result,
                        struct answer *answer)
{
        (void)snprintf(answer->detail, sizeof answer->detail, "%s", result->detail);
        (void)credential_redact(exchange->terms->credential,
                                exchange->sent ? exchange->sent->credential : NULL, answer->detail,
                                strlen(answer->detail));
}

static void read_result(const struct exchange *exchange, const struct transfer_result *result,
                        struct answer *ret_answer)
{
        *ret_answer = (struct answer){
                .stray = result->stray, .local = result->local, .timed_out = result->timed_out};
        switch (result->end) {
        case TRANSFER_ANSWERED:
                read_answered(exchange, result, ret_answer);
                ret_answer->stray = result->stray;
                return;
        case TRANSFER_NOT_SENT:
                ret_answer->kind = ANSWER_NOT_SENT;
                break;
        case TRANSFER_UNCLEAR:
                ret_answer->kind = ANSWER_UNCLEAR;
                break;
        }
        (void)snprintf(ret_answer->message, sizeof ret_answer->message, "%s", result->problem);
        copy_detail(exchange, result, ret_answer);
}

static void exchange_free(struct exchange *exchange)
{
        account_terms_unref(exchange->terms);
        account_terms_unref(exchange->sent);
        free(exchange);
}

static void on_transfer_done(struct transfer_result *result, void *arg)
{
        struct exchange *exchange = arg;
        exchange_done_fn *done = exchange->done;
        void *done_arg = exchange->arg;
        struct answer answer;

        read_result(exchange, result, &answer);
        result->distrust = answer.foreign;
        request_counts_add(&exchange->account->requests, exchange->endpoint, (int)answer.kind);
        exchange_free(exchange);
        done(&answer, done_arg);
}

static int start_transfer(struct transfers *transfers, const struct question *question,
                          struct exchange *exchange)
{
        const struct account_terms *terms = question->terms;
        const struct credential *credential = terms->credential;
        struct transfer_header headers[6] = {{"User-Agent", USER_AGENT}, {"Via", instance_via()}};
        struct strbuf url;
        size_t n = 2;

        headers[n++] = (struct transfer_header){"apikey", credential_apikey(credential)};
        if (protocol_sends_uid(terms->api) && credential_uid(credential)[0])
                headers[n++] = (struct transfer_header){"uid", credential_uid(credential)};
        if (question->body)
                headers[n++] = (struct transfer_header){"Content-Type", "application/json"};

        strbuf_init(&url, UPSTREAM_URL_BYTES_MAX);
        int r = protocol_url(terms->url, terms->api, question->endpoint, question->upstream_id,
                             &url);
        if (r == 0) {
                struct transfer_request request = {
                        .url = url.data,
                        .ca = terms->ca,
                        .ca_len = terms->ca_len,
                        .headers = headers,
                        .body = question->body,
                        .body_len = question->body_len,
                        .answer_max_bytes = UPSTREAM_ANSWER_BYTES_MAX,
                        .timeout_ms = question->timeout_ms,
                        .owner = question->account,
                        /* A solve has its connection to itself: over HTTP/2, libcurl 7.88 loses
                         * refusals that come before the body has been read. */
                        .http2 = question->endpoint != UPSTREAM_SOLVE,
                        .fresh = question->fresh,
                };
                r = transfer_start(transfers, &request, on_transfer_done, exchange,
                                   &exchange->transfer);
        }
        strbuf_done(&url);
        return r;
}

int exchange_start(struct transfers *transfers, const struct question *question,
                   exchange_done_fn *done, void *arg, struct exchange **ret_exchange)
{
        struct exchange *exchange = calloc(1, sizeof *exchange);

        if (!exchange)
                return -ENOMEM;
        exchange->account = question->account;
        exchange->terms = account_terms_ref(question->terms);
        exchange->sent = question->sent ? account_terms_ref(question->sent) : NULL;
        exchange->endpoint = question->endpoint;
        exchange->upstream_id =
                question->endpoint == UPSTREAM_STATUS ? question->upstream_id : NULL;
        exchange->done = done;
        exchange->arg = arg;
        int r = start_transfer(transfers, question, exchange);
        if (r < 0) {
                exchange_free(exchange);
                return r;
        }
        *ret_exchange = exchange;
        return 0;
}

bool exchange_cancel(struct exchange *exchange)
{
        if (!exchange)
                return false;
        enum transfer_end end = transfer_cancel(exchange->transfer);
        if (end != TRANSFER_NOT_SENT)
                request_counts_add(&exchange->account->requests, exchange->endpoint,
                                   REQUEST_BROKEN_OFF);
        exchange_free(exchange);
        return end != TRANSFER_NOT_SENT;
}
