/*
 * exchange: one question to an account's upstream, and its answer, judged.
 *
 * Joins account (whose key), protocol (what to say) and transfer (how). The key is overwritten in
 * what the upstream sends before it is used (protocol_read).
 *
 * Thread: the loop's of the transfers.
 */
#ifndef SOLVEGATE_UPSTREAM_EXCHANGE_H
#define SOLVEGATE_UPSTREAM_EXCHANGE_H

#include "upstream/protocol.h"

#include <stdbool.h>

struct account;
struct account_terms;
struct exchange;
struct transfers;

/* The callback owns the answer and frees it with answer_done(). The exchange is gone by then. */
typedef void exchange_done_fn(struct answer *answer, void *arg);

struct question {
        struct account *account;
        struct account_terms *terms; /* by which it is asked; the exchange takes a reference */
        struct account_terms *sent;  /* by which the job was sent, whose key may be quoted as well;
                                        likewise; NULL: by the same */
        enum upstream_endpoint endpoint;
        const char *upstream_id; /* UPSTREAM_STATUS; must outlive the exchange */
        const char *body;        /* UPSTREAM_SOLVE; must outlive the exchange */
        size_t body_len;
        int64_t timeout_ms; /* > 0 */
        bool fresh;         /* on a new connection */
};

/*
 * Asks. done(…, arg) is called later, exactly once, unless the exchange is cancelled. Returns 0 or
 * -errno; then nothing was sent and done is not called.
 */
int exchange_start(struct transfers *transfers, const struct question *question,
                   exchange_done_fn *done, void *arg, struct exchange **ret_exchange);

/*
 * Breaks off without calling done. Returns whether the upstream may have got any of the request's
 * body. Takes NULL.
 */
bool exchange_cancel(struct exchange *exchange);

#endif
