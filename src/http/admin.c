/*
 * admin: /healthz and /readyz, which operators ask for on the admin address and the admin socket.
 * Answered from memory, on the main loop.
 */
#include "base/json_value.h"
#include "gateway/gateway.h"
#include "http/handlers.h"
#include "http/refusal.h"
#include "http/reply.h"
#include "http/request_private.h"

static enum MHD_Result reply_status(struct request *request, const char *status)
{
        return reply_json(request, JSON_OBJECT({"status", json_new_string(status)}), -1);
}

enum MHD_Result health_handle(struct request *request)
{
        return reply_status(request, "ok");
}

enum MHD_Result ready_handle(struct request *request)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX];
        enum gateway_verdict verdict = gateway_check(request->server->gateway, NULL, message);

        refusal_from_verdict(request, verdict, message);
        return verdict == GATEWAY_OK ? reply_status(request, "ready") : reply_refusal(request);
}
