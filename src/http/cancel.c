/*
 * cancel: see cancel.h.
 */
#include "http/cancel.h"

#include "gateway/gateway.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"
#include "http/wait.h"
#include "job/state.h"

static void cancel(struct request *request, enum end_reason by)
{
        struct server *server = request->server;

        if (!gateway_cancel(server->gateway, server->loop, request->job, by))
                request_refuse(request, 409, "already_sent",
                               "the job was sent already, or has ended, and cannot be taken back; "
                               "ask for its status");
}

enum MHD_Result cancel_handle(struct request *request, void (*find)(struct request *request),
                              enum end_reason by, enum MHD_Result (*reply)(struct request *request))
{
        /* A request that was held comes here again with its job. */
        if (!request->job) {
                find(request);
                if (request->refusal.status == 0)
                        cancel(request, by);
        }
        if (request->refusal.status != 0)
                return reply_refusal(request);
        if (wait_for_end(request))
                return MHD_YES;
        if (!job_state_final(gateway_state(request->server->gateway, request->job))) {
                request_refuse(request, 503, "store_unavailable",
                               "the job is cancelled, but that cannot be stored at the moment; it "
                               "is sent after all if solvegate ends before it is");
                return reply_refusal(request);
        }
        return reply(request);
}
