/*
 * cancel: a job that has not been sent is taken back, by its owner or by an operator.
 */
#ifndef SOLVEGATE_HTTP_CANCEL_H
#define SOLVEGATE_HTTP_CANCEL_H

#include "job/state.h"

#include <microhttpd.h>

struct request;

/*
 * Handles a request to cancel a job. find sets request->job, or refuses. by:
 * END_BY_OWNER or END_BY_OPERATOR. The request is held until the end is stored; then reply answers
 * it.
 */
enum MHD_Result cancel_handle(struct request *request, void (*find)(struct request *request),
                              enum end_reason by,
                              enum MHD_Result (*reply)(struct request *request));

#endif
