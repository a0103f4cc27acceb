/*
 * request_counts: see request_counts.h.
 */
#include "upstream/request_counts.h"

const char *request_endpoint_name(int endpoint)
{
        static const char *const names[REQUEST_ENDPOINTS] = {
                [UPSTREAM_SOLVE] = "solve",
                [UPSTREAM_STATUS] = "status",
                [UPSTREAM_BALANCE] = "balance",
        };

        return names[endpoint];
}

const char *request_result_name(int result)
{
        static const char *const names[REQUEST_RESULTS] = {
                [ANSWER_FINAL] = "final",
                [ANSWER_PENDING] = "pending",
                [ANSWER_REJECTED] = "rejected",
                [ANSWER_TRY_LATER] = "try_later",
                [ANSWER_NOT_SENT] = "not_sent",
                [ANSWER_UNCLEAR] = "unclear",
                [REQUEST_BROKEN_OFF] = "broken_off",
        };

        return names[result];
}

void request_counts_add(struct request_counts *counts, enum upstream_endpoint endpoint, int result)
{
        (void)atomic_fetch_add_explicit(&counts->counts[endpoint][result], 1, memory_order_relaxed);
}

void request_counts_read(const struct request_counts *counts, struct request_figures *ret_figures)
{
        for (int endpoint = 0; endpoint < REQUEST_ENDPOINTS; endpoint++) {
                for (int result = 0; result < REQUEST_RESULTS; result++)
                        ret_figures->counts[endpoint][result] = atomic_load_explicit(
                                &counts->counts[endpoint][result], memory_order_relaxed);
        }
}
